"""TCP streams whose timeouts the kernel keeps.

The sockets are blocking ones with SO_RCVTIMEO and SO_SNDTIMEO, not Python's own timeouts: those
make a socket non-blocking and would cost a poll and a return to the interpreter for every
segment that arrives.  With MSG_WAITALL a whole activation is two system calls, during which the thread
holds no interpreter lock, so receiving does not get into the way of computing.  The low-water mark that
all but the end of a long one is received with has the kernel wake the thread once per 128 KiB instead of for
each segment.  What is short is read ahead, so that a small frame is one system call.
"""

from __future__ import annotations

import errno
import functools
import select
import socket
import struct
import time
from collections.abc import Sequence

from stage_runtime.errors import TransportError, TransportTimeoutError
from stage_runtime.transports.base import Listener, Stream, Transport

_TIMEVAL = struct.Struct("@ll")
# A peer that vanished (no power, no cable) leaves no end of stream: give up on it after this long.
_KEEPALIVE_IDLE_S, _KEEPALIVE_INTERVAL_S, _KEEPALIVE_COUNT = 10, 5, 4
_BACKLOG = 16
_EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104  (to refuse them)
# Waking up as seldom as this costs nothing.
_LONG_WAIT_S = 10.0
# A frame's header and descriptors, and all of a 4 KB payload.
_AHEAD_BYTES = 8192
# The kernel wakes a receiver when so much is there.  The last two of them are received as they come, so that what
# is awaited is always less than what is still to come, and little is left to be copied when the last byte is there.
_MARK_BYTES = 128 * 1024
_LONG_BYTES = 4 * _MARK_BYTES
# Where struct tcp_info (linux/tcp.h) holds tcpi_last_data_recv: milliseconds since the last segment with data.
_LAST_DATA = struct.Struct("@52xI")


def _configure(connection: socket.socket) -> None:
    """Send small frames at once, and notice a peer that is gone while nothing is under way.

    What is under way has no limit of its own here, since a peer that computes for long takes nothing meanwhile: the
    run's heartbeats and deadlines end it.
    """
    connection.setblocking(True)  # noqa: FBT003  (the standard library's own signature)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_INTERVAL_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_COUNT)


def _timeval(seconds: float) -> bytes:
    """Pack a timeout for the kernel, which takes 0 as "for ever": never less than a millisecond."""
    microseconds = max(1000, int(seconds * 1e6))
    return _TIMEVAL.pack(microseconds // 1_000_000, microseconds % 1_000_000)


@functools.lru_cache(maxsize=16)
def _may_send_from(size: int) -> bool:
    """Say whether this kernel grants a send buffer of ``size`` bytes (it doubles what it is asked for)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size // 2)
        return trial.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) >= size // 2 * 2


class TcpStream(Stream):
    """One TCP connection."""

    def __init__(self, connection: socket.socket, peer: str) -> None:
        _configure(connection)
        self._socket = connection
        self._peer = peer
        self._timeouts: dict[int, float] = {}
        self._ahead = memoryview(bytearray(_AHEAD_BYTES))
        self._unread = self._ahead[:0]
        self._waiting_since: float | None = None

    @property
    def peer(self) -> str:
        """The other end as ``address:port``."""
        return self._peer

    def send(self, buffers: Sequence[memoryview], timeout_s: float) -> None:
        """Send all of the buffers; see the interface."""
        pending = buffers
        total = left = sum([buffer.nbytes for buffer in buffers])
        end = time.monotonic() + timeout_s
        while left:
            remaining = end - time.monotonic()
            if remaining <= 0:
                raise self._timeout("took", total - left, total, timeout_s)
            self._set_timeout(socket.SO_SNDTIMEO, remaining)
            try:
                sent = self._socket.sendmsg(pending)
            except BlockingIOError:
                continue
            except OSError as exc:
                raise self._broken("sending", exc) from exc
            left -= sent
            if left:
                pending = _without_first(pending, sent)

    def receive_into(self, buffer: memoryview, timeout_s: float) -> None:
        """Fill all of ``buffer``; see the interface."""
        total = buffer.nbytes
        filled = self._read_ahead(buffer)
        if filled == total:
            return
        self._waiting_since = time.monotonic()
        end = self._waiting_since + timeout_s
        try:
            while filled < total:
                remaining = end - time.monotonic()
                if remaining <= 0:
                    raise self._timeout("sent", filled, total, timeout_s)
                self._set_timeout(socket.SO_RCVTIMEO, remaining)
                try:
                    count = self._receive_some(buffer[filled:])
                except BlockingIOError:
                    continue
                except OSError as exc:
                    raise self._broken("receiving", exc) from exc
                if count == 0:
                    raise TransportError(f"{self._peer} closed the connection")
                filled += count
        finally:
            self._waiting_since = None

    def _receive_some(self, buffer: memoryview) -> int:
        """Receive into a buffer until it, or the first part of a long one, is full; 0 at the end of the stream."""
        wanted = buffer.nbytes
        if wanted < _AHEAD_BYTES:
            self._unread = self._ahead[: self._socket.recv_into(self._ahead)]
            return self._read_ahead(buffer)
        if wanted < _LONG_BYTES:
            return self._socket.recv_into(buffer, 0, socket.MSG_WAITALL)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, _MARK_BYTES)
        try:
            return self._socket.recv_into(buffer, wanted - 2 * _MARK_BYTES, socket.MSG_WAITALL)
        finally:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)

    def receive_what_came(self, buffer: memoryview, sure: int, timeout_s: float) -> int:
        """Receive what has come, or comes next, and give how much that is.

        ``sure`` is how much will come for certain; where that is much, the wait is for a good part of it.  Raises
        as ``receive_into`` does.
        """
        count = self._read_ahead(buffer)
        self._waiting_since = time.monotonic()
        end = self._waiting_since + timeout_s
        try:
            while not count:
                remaining = end - time.monotonic()
                if remaining <= 0:
                    raise self._timeout("sent", 0, sure, timeout_s)
                self._set_timeout(socket.SO_RCVTIMEO, remaining)
                try:
                    count = self._receive_marked(buffer) if sure >= _LONG_BYTES else self._socket.recv_into(buffer)
                except BlockingIOError:
                    continue
                except OSError as exc:
                    raise self._broken("receiving", exc) from exc
                if count == 0:
                    raise TransportError(f"{self._peer} closed the connection")
        finally:
            self._waiting_since = None
        return count

    def _receive_marked(self, buffer: memoryview) -> int:
        """Receive when a good part is there."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, _MARK_BYTES)
        try:
            return self._socket.recv_into(buffer)
        finally:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)

    def _read_ahead(self, buffer: memoryview) -> int:
        """Copy what was read ahead, as far as it goes."""
        count = min(self._unread.nbytes, buffer.nbytes)
        if count:
            buffer[:count] = self._unread[:count]
            self._unread = self._unread[count:]
        return count

    def make_room(self, in_flight_bytes: int, second_bytes: int) -> None:  # noqa: ARG002 - segments are shorter
        """Size both buffers; see the interface.

        The receive buffer grows with a low-water mark, unlike with SO_RCVBUF, which would keep the kernel from
        growing it further and has a lower limit.  The send buffer is fixed, where the kernel lets it be that large:
        it bounds what waits in the kernel, and bridges the time in which this process does not run.
        """
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, in_flight_bytes)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
            if _may_send_from(in_flight_bytes):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, in_flight_bytes // 2)
        except OSError as exc:
            raise self._broken("using", exc) from exc

    def has_room(self) -> bool:
        """Say whether the send buffer takes a few bytes at once (a third of it is free)."""
        return self._poll(select.POLLOUT) == select.POLLOUT

    def silence_s(self) -> float:
        """Give for how long a receiver has waited while no data came, as the kernel saw it."""
        since = self._waiting_since
        if since is None:
            return 0.0
        waited = time.monotonic() - since
        try:
            told = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA.size)
        except OSError:
            return 0.0  # closed meanwhile
        last_data_ms: int = _LAST_DATA.unpack(told)[0]
        return min(waited, last_data_ms / 1000)

    def is_quiet(self) -> bool:
        """Say whether nothing, not even an end of stream, waits to be received."""
        return not self._unread.nbytes and not self._poll(select.POLLIN | select.POLLRDHUP)

    def _poll(self, events: int) -> int:
        """Give which of the events hold now; others where the connection is broken or closed."""
        poll = select.poll()
        try:
            poll.register(self._socket, events)
        except (OSError, ValueError):
            return select.POLLNVAL
        return sum(held for _, held in poll.poll(0))

    def abort(self) -> None:
        """Shut both directions down."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the peer was faster

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _set_timeout(self, option: int, seconds: float) -> None:
        """Have the kernel wait for at most ``seconds``, or leave it at a shorter wait that is near enough.

        The callers go on waiting when a wait ended early, and this saves a system call per frame: what is left
        of a deadline is a little less each time, and between two frames there is none.
        """
        if min(seconds / 2, _LONG_WAIT_S) <= self._timeouts.get(option, 0.0) <= seconds:
            return
        seconds *= 0.75
        self._timeouts[option] = seconds
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, option, _timeval(seconds))
        except OSError as exc:
            raise self._broken("using", exc) from exc

    def _broken(self, doing: str, exc: OSError) -> TransportError:
        if exc.errno == errno.ETIMEDOUT:
            return TransportTimeoutError(f"{self._peer} answers no more; is it up, is the link?")
        return TransportError(f"{doing} failed: the connection with {self._peer} is broken ({exc.strerror})")

    def _timeout(self, verb: str, done: int, total: int, timeout_s: float) -> TransportTimeoutError:
        return TransportTimeoutError(f"{self._peer} {verb} {done} of {total} bytes in {timeout_s:.1f} s")


def _without_first(buffers: Sequence[memoryview], count: int) -> list[memoryview]:
    """Drop the first ``count`` bytes of the buffers."""
    for position, buffer in enumerate(buffers):
        if count < buffer.nbytes:
            return [buffer[count:], *buffers[position + 1 :]]
        count -= buffer.nbytes
    return []


class TcpListener(Listener):
    """A listening socket."""

    def __init__(self, listening: socket.socket) -> None:
        self._socket = listening

    @property
    def port(self) -> int:
        """The port in use (of interest when 0 was asked for)."""
        number: int = self._socket.getsockname()[1]
        return number

    def accept(self, timeout_s: float) -> Stream | None:
        """Wait for the next connection."""
        try:
            self._socket.settimeout(timeout_s)
            connection, address = self._socket.accept()
        except (TimeoutError, ConnectionAbortedError):
            return None
        except OSError as exc:
            raise TransportError(f"cannot accept connections: {exc.strerror}") from exc
        return TcpStream(connection, f"{address[0]}:{address[1]}")

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


class TcpTransport(Transport):
    """TCP from and to one address of this device."""

    def __init__(self, local_address: str | None = None) -> None:
        self._local_address = local_address

    def listen(self, address: str, port: int) -> TcpListener:
        """Listen on one address only; one that stands for all of them is refused."""
        try:
            family, kind, protocol, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
            if place[0] in _EVERY_ADDRESS:
                raise TransportError(
                    f"will not listen on {address!r}, which is every address of this device; "
                    "give data_address the one that neighbours connect to"
                )
            listening = socket.socket(family, kind, protocol)
        except OSError as exc:
            raise TransportError(f"cannot listen on {address}:{port}: {exc.strerror}") from exc
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(place)
            listening.listen(_BACKLOG)
        except OSError as exc:
            listening.close()
            raise TransportError(f"cannot listen on {address}:{port}: {exc.strerror}") from exc
        return TcpListener(listening)

    def connect(self, address: str, port: int, timeout_s: float) -> TcpStream:
        """Connect from this device's data address, so that the traffic takes the data interface."""
        source = (self._local_address, 0) if self._local_address else None
        try:
            connection = socket.create_connection((address, port), timeout_s, source)
        except TimeoutError as exc:
            raise TransportTimeoutError(f"{address}:{port} did not answer in {timeout_s:.1f} s") from exc
        except OSError as exc:
            raise TransportError(f"cannot connect to {address}:{port}: {exc.strerror}") from exc
        return TcpStream(connection, f"{address}:{port}")
