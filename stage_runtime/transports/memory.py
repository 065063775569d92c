"""Streams inside one process: the protocol's tests need no socket.

They behave like TCP where it matters to the layers above: a direction holds so many bytes and no
more, a receiver that does not read makes the sender wait, what was sent before a close arrives.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence

from stage_runtime.errors import TransportError, TransportTimeoutError
from stage_runtime.transports.base import Listener, Stream, Transport

_CAPACITY_BYTES = 65536


class _Direction:
    """Bytes on their way one way."""

    def __init__(self, capacity: int) -> None:
        self._changed = threading.Condition()
        self._bytes = bytearray()
        self._capacity = capacity
        self._ended = False
        self._put_at = time.monotonic()

    def put(self, data: memoryview, end: float) -> memoryview:
        """Take as much as fits, waiting until something does; return what is left."""
        with self._changed:
            while not self._ended and len(self._bytes) >= self._capacity:
                if not self._changed.wait(end - time.monotonic()):
                    raise TransportTimeoutError("the peer took nothing in time")
            if self._ended:
                raise TransportError("the peer closed the connection")
            room = self._capacity - len(self._bytes)
            self._bytes += data[:room]
            self._put_at = time.monotonic()
            self._changed.notify_all()
            return data[room:]

    def get(self, buffer: memoryview, end: float) -> int:
        """Copy what is there into ``buffer``, waiting for something; 0 at the end of the stream."""
        with self._changed:
            while not self._ended and not self._bytes:
                if not self._changed.wait(end - time.monotonic()):
                    raise TransportTimeoutError("the peer sent nothing in time")
            count = min(len(self._bytes), buffer.nbytes)
            buffer[:count] = self._bytes[:count]
            del self._bytes[:count]
            self._changed.notify_all()
            return count

    @property
    def has_room(self) -> bool:
        """Say whether it is not full."""
        with self._changed:
            return len(self._bytes) < self._capacity

    def quiet_s(self) -> float:
        """Give for how long nothing was put into it."""
        with self._changed:
            return time.monotonic() - self._put_at

    def resize(self, capacity: int) -> None:
        """Hold so many bytes from now on."""
        with self._changed:
            self._capacity = capacity
            self._changed.notify_all()

    def end(self) -> None:
        """Take nothing more, and wake everybody."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def is_quiet(self) -> bool:
        """Say whether a reader would find nothing."""
        with self._changed:
            return not self._ended and not self._bytes


class MemoryStream(Stream):
    """One end of a pair."""

    def __init__(self, incoming: _Direction, outgoing: _Direction, peer: str) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._peer = peer
        self._waiting_since: float | None = None

    @property
    def peer(self) -> str:
        """The name given to the other end."""
        return self._peer

    def send(self, buffers: Sequence[memoryview], timeout_s: float) -> None:
        """Send all of the buffers; see the interface."""
        end = time.monotonic() + timeout_s
        for buffer in buffers:
            left = buffer
            while left.nbytes:
                left = self._outgoing.put(left, end)

    def receive_into(self, buffer: memoryview, timeout_s: float) -> None:
        """Fill all of ``buffer``; see the interface."""
        self._waiting_since = time.monotonic()
        end = self._waiting_since + timeout_s
        left = buffer
        try:
            while left.nbytes:
                count = self._incoming.get(left, end)
                if count == 0:
                    raise TransportError(f"{self._peer} closed the connection")
                left = left[count:]
        finally:
            self._waiting_since = None

    def has_room(self) -> bool:
        """Say whether the other end has taken enough of what was sent."""
        return self._outgoing.has_room

    def silence_s(self) -> float:
        """Give for how long a receiver has waited while nothing came."""
        since = self._waiting_since
        return 0.0 if since is None else min(time.monotonic() - since, self._incoming.quiet_s())

    def make_room(self, in_flight_bytes: int, second_bytes: int) -> None:  # noqa: ARG002 - bytes arrive one by one
        """Let each direction hold so many bytes."""
        self._incoming.resize(in_flight_bytes)
        self._outgoing.resize(in_flight_bytes)

    def is_quiet(self) -> bool:
        """Say whether nothing, not even an end of stream, waits to be received."""
        return self._incoming.is_quiet()

    def abort(self) -> None:
        """End both directions."""
        self._incoming.end()
        self._outgoing.end()

    def close(self) -> None:
        """End both directions."""
        self.abort()


def memory_pair(capacity: int = _CAPACITY_BYTES) -> tuple[MemoryStream, MemoryStream]:
    """Make two connected ends; each direction holds ``capacity`` bytes."""
    there, back = _Direction(capacity), _Direction(capacity)
    return MemoryStream(back, there, "memory:b"), MemoryStream(there, back, "memory:a")


class MemoryListener(Listener):
    """Where a MemoryTransport's connections arrive."""

    def __init__(self) -> None:
        self.arrivals: queue.SimpleQueue[MemoryStream] = queue.SimpleQueue()
        self.closed = False

    def accept(self, timeout_s: float) -> Stream | None:
        """Wait for the next connection."""
        if self.closed:
            raise TransportError("cannot accept connections: closed")
        try:
            return self.arrivals.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def close(self) -> None:
        """Stop listening."""
        self.closed = True


class MemoryTransport(Transport):
    """A network of its own: listeners by (address, port)."""

    def __init__(self) -> None:
        self._listeners: dict[tuple[str, int], MemoryListener] = {}

    def listen(self, address: str, port: int) -> Listener:
        """Listen at a name of this transport."""
        listener = self._listeners.get((address, port))
        if listener is not None and not listener.closed:
            raise TransportError(f"cannot listen on {address}:{port}: in use")
        listener = self._listeners[(address, port)] = MemoryListener()
        return listener

    def connect(self, address: str, port: int, timeout_s: float) -> Stream:
        """Connect to a listener of this transport."""
        listener = self._listeners.get((address, port))
        if listener is None or listener.closed:
            raise TransportError(f"cannot connect to {address}:{port} within {timeout_s:.1f} s: nobody listens")
        near, far = memory_pair()
        listener.arrivals.put(far)
        return near
