"""One end of a stream over RPC."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import torch

from stage_runtime.errors import TransportError, TransportTimeoutError
from stage_runtime.transports.base import Stream
from stage_runtime.transports.rpc.calls import OUTBOX, TABLES, Key, deliver, end_stream, explain, knows_stream
from stage_runtime.transports.rpc.pieces import MOST_OF_A_BUFFER, Piece, bytes_of, copy, cut, pack, part_bytes, size_of

# More than the links here hold (300 Mbit/s at 200 ms each way), so that a window's batches follow each other.
_MOST_BYTES = 16 * 2**20
# What a call counts beside its buffers, so that the number of calls is bounded too.
_CALL_BYTES = 4096
_ASK_AFTER_S = 1.0
# As for TCP: a peer that vanished (no power, no cable) breaks no connection.
_SILENT_PEER_S = 30.0


class RpcStream(Stream):
    """A numbered sequence of calls each way.

    RPC runs calls on a pool of threads, so ``take`` may see them in any order.  Each end bounds what it holds:
    a sender waits while more than ``_MOST_BYTES`` are unanswered, and a receiver that holds as much answers
    only when it has been read.  A call that fails ends the stream.
    """

    def __init__(self, key: Key, far_key: Key, peer: str, rank: int) -> None:
        self._key = key
        self._far_key = far_key
        self._peer = peer
        self._rank = rank
        self._changed = threading.Condition()
        self._aborted = False
        self._error: TransportError | None = None
        self._peer_asked: float | None = None
        self._peer_heard = time.monotonic()
        # what goes out
        self._frames_sent = 0
        self._bytes_unanswered = 0
        self._part_bytes = MOST_OF_A_BUFFER
        # what comes in
        self._arrived: dict[int, tuple[Piece, ...]] = {}
        self._frames_read = 0
        self._frames_in_all: int | None = None
        self._waiting_since: float | None = None
        self._reading: deque[memoryview] = deque()
        self._bytes_reading = 0
        self._bytes_held = 0
        self._answers_owed: deque[torch.futures.Future[bool]] = deque()
        TABLES.add(key, self)

    @property
    def peer(self) -> str:
        """The other stage's ``address:port``."""
        return self._peer

    def send(self, buffers: Sequence[memoryview], timeout_s: float) -> None:
        """Send copies of the buffers, in one call unless they are long; see the interface."""
        end = time.monotonic() + timeout_s
        for parts in cut(buffers, self._part_bytes):
            self._call(pack(parts), end, f"did not take all that was sent within {timeout_s:.1f} s")

    def _call(self, pieces: tuple[Piece, ...], end: float, too_late: str) -> None:
        size = _CALL_BYTES + size_of(pieces)
        with self._changed:
            self._check_sending()
            number = self._frames_sent
            self._frames_sent += 1
            self._bytes_unanswered += size
        OUTBOX.call(self._rank, lambda answer: self._sent(size, answer), deliver, self._far_key, number, pieces)
        with self._changed:
            while self._bytes_unanswered > _MOST_BYTES:
                self._wait(end, too_late)
                self._check_sending()

    def receive_into(self, buffer: memoryview, timeout_s: float) -> None:
        """Fill all of ``buffer``; see the interface."""
        self._waiting_since = time.monotonic()
        try:
            self._receive(buffer, self._waiting_since + timeout_s, timeout_s)
        finally:
            self._waiting_since = None

    def _receive(self, buffer: memoryview, end: float, timeout_s: float) -> None:
        filled, total = 0, buffer.nbytes
        while filled < total:
            if not self._reading:
                self._begin_frame(end, f"sent {filled} of {total} bytes in {timeout_s:.1f} s")
            piece = self._reading.popleft()
            count = min(piece.nbytes, total - filled)
            copy(piece[:count], buffer[filled : filled + count])
            filled += count
            if count < piece.nbytes:
                self._reading.appendleft(piece[count:])
            elif not self._reading:
                self._end_frame()

    def make_room(self, in_flight_bytes: int, second_bytes: int) -> None:  # noqa: ARG002 - not RPC's sockets
        """Leave it at ``_MOST_BYTES``, for sockets that RPC opens itself cannot be sized; cut calls to a second's."""
        self._part_bytes = part_bytes(second_bytes)

    def has_room(self) -> bool:
        """Say whether another call would not have to wait."""
        with self._changed:
            return self._bytes_unanswered < _MOST_BYTES

    def silence_s(self) -> float:
        """Give for how long a receiver has waited while no call and no answer came."""
        since = self._waiting_since
        if since is None:
            return 0.0
        with self._changed:
            heard = self._peer_heard
        return time.monotonic() - max(since, heard)

    def is_quiet(self) -> bool:
        """Say whether nothing, not even an end of stream, waits to be received."""
        with self._changed:
            over = self._aborted or self._error is not None or self._frames_in_all is not None
            return not (over or self._arrived or self._reading)

    def abort(self) -> None:
        """End both directions, and tell the peer that nothing follows what was sent."""
        with self._changed:
            if self._aborted:
                return
            self._aborted = True
            self._arrived.clear()
            owed, self._answers_owed = self._answers_owed, deque()
            self._changed.notify_all()
        TABLES.remove(self._key)
        for answer in owed:
            answer.set_result(False)
        OUTBOX.call(self._rank, lambda _: None, end_stream, self._far_key, self._frames_sent)

    def close(self) -> None:
        """End the stream, and free what was not read."""
        self.abort()
        self._reading.clear()

    # What comes from the peer, on RPC's threads

    def take(self, number: int, pieces: tuple[Piece, ...], answer: torch.futures.Future[bool]) -> None:
        """Hold a frame until it is read; see End."""
        with self._changed:
            self._peer_heard = time.monotonic()
            over = self._aborted
            full = False
            if not over:
                self._arrived[number] = pieces
                self._bytes_held += size_of(pieces)
                full = self._bytes_held > _MOST_BYTES
                self._changed.notify_all()
            if full:
                self._answers_owed.append(answer)
        if not full:
            answer.set_result(not over)

    def end_at(self, frames: int) -> None:
        """Note that no more than so many frames come; see End."""
        with self._changed:
            self._frames_in_all = frames
            self._changed.notify_all()

    def _sent(self, size: int, answer: Any) -> None:
        with self._changed:
            self._peer_heard = time.monotonic()
            self._bytes_unanswered -= size
            self._judge(answer)
            self._changed.notify_all()

    def _peer_answered(self, answer: Any) -> None:
        with self._changed:
            self._peer_asked = None
            self._peer_heard = time.monotonic()
            self._judge(answer)
            if self._error is not None:
                self._changed.notify_all()

    def _judge(self, answer: Any) -> None:
        """Note what an answer means: True, False when the peer has ended the stream, or an exception."""
        if answer is True or self._error is not None:
            return
        if answer is False:
            self._error = TransportError(f"{self._peer} closed the connection")
        else:
            self._error = TransportError(f"the connection with {self._peer} is broken ({explain(answer)})")

    # Waiting

    def _begin_frame(self, end: float, too_late: str) -> None:
        """Wait for the next frame; raises as receive_into does."""
        with self._changed:
            while self._frames_read not in self._arrived or self._aborted:
                self._check_receiving()
                self._wait(end, too_late)
            pieces = self._arrived.pop(self._frames_read)
            self._frames_read += 1
        self._reading.extend(bytes_of(piece) for piece in pieces)
        self._bytes_reading = size_of(pieces)

    def _end_frame(self) -> None:
        """Let the peer send what there is room for again."""
        with self._changed:
            self._bytes_held -= self._bytes_reading
            if not self._answers_owed or self._bytes_held > _MOST_BYTES:
                return
            owed, self._answers_owed = self._answers_owed, deque()
        for answer in owed:
            answer.set_result(True)

    def _check_receiving(self) -> None:
        self._check_here()
        if self._frames_in_all is not None and self._frames_read >= self._frames_in_all:
            raise TransportError(f"{self._peer} closed the connection")
        if self._error is not None:
            raise self._error

    def _check_sending(self) -> None:
        self._check_here()
        if self._frames_in_all is not None:
            raise TransportError(f"{self._peer} closed the connection")
        if self._error is not None:
            raise self._error

    def _check_here(self) -> None:
        if self._aborted:
            raise TransportError(f"the connection with {self._peer} was ended on this side")

    def _wait(self, end: float, too_late: str) -> None:
        """Wait for a change, asking now and then whether the peer lives; the lock is held."""
        left = end - time.monotonic()
        if left <= 0:
            raise TransportTimeoutError(f"{self._peer} {too_late}")
        if self._changed.wait(min(left, _ASK_AFTER_S)):
            return
        now = time.monotonic()
        if self._peer_asked is None:
            self._peer_asked = now
            OUTBOX.call(self._rank, self._peer_answered, knows_stream, self._far_key)
        elif now - max(self._peer_asked, self._peer_heard) > _SILENT_PEER_S:
            raise TransportTimeoutError(f"{self._peer} answers no more; is it up, is the link?")
