"""Frames over a stream: many threads may send, one receives."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from stage_runtime.errors import FormatError, TransportTimeoutError
from stage_runtime.transports.base import Stream
from stage_runtime.transports.room import room_bytes
from stage_runtime.wire.frames import (
    HEADER_BYTES,
    Header,
    Kind,
    TensorHeader,
    pack_descriptors,
    pack_header,
    unpack_descriptors,
    unpack_header,
)

# The rest of a frame whose header came follows at once; a payload has the caller's own timeout.
_BODY_TIMEOUT_S = 60.0
# A beat is sent only where there is room for it.
_BEAT_TIMEOUT_S = 5.0
_BEAT = memoryview(pack_header(Header(Kind.BEAT, 0, 0, 0, 0, 0)))


class Channel:
    """A stream that carries frames.

    Beats, which say that the other side lives, are sent by ``beat`` and swallowed by ``receive_header``.
    After any error the channel is broken: ``abort`` it, and ``close`` it once no thread uses it.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._sending = threading.Lock()
        self._header = bytearray(HEADER_BYTES)
        self._sent_at = time.monotonic()

    @property
    def peer(self) -> str:
        """The other end, as messages name it."""
        return self._stream.peer

    @property
    def protection(self) -> str | None:
        """What the stream is protected by; None in the clear."""
        return self._stream.protection

    def make_room(self, rate_mbit: float | None, round_trip_ms: float | None) -> None:
        """Have the stream hold what keeps a link of such a rate and round trip busy, and not much more.

        Without figures of the link it stays as it is.
        """
        if rate_mbit is not None and round_trip_ms is not None:
            self._stream.make_room(room_bytes(rate_mbit, round_trip_ms), int(rate_mbit * 1e6 / 8))

    def send_message(self, kind: Kind, run: int, index: int, body: bytes, timeout_s: float) -> None:
        """Send a frame without tensors."""
        header = pack_header(Header(kind, 0, run, index, len(body), 0))
        self._send([memoryview(header), memoryview(body)], timeout_s)

    def send_tensors(
        self,
        kind: Kind,
        run: int,
        index: int,
        tensors: Sequence[tuple[TensorHeader, memoryview]],
        timeout_s: float,
        *,
        codec: int = 0,
    ) -> int:
        """Send tensors straight from their memory, written by a codec; return the bytes of the whole frame."""
        body = pack_descriptors(tuple(header for header, _ in tensors))
        payload = sum(data.nbytes for _, data in tensors)
        header = pack_header(Header(kind, len(tensors), run, index, len(body), payload, codec))
        self._send([memoryview(header), memoryview(body), *(data for _, data in tensors)], timeout_s)
        return len(header) + len(body) + payload

    def _send(self, buffers: Sequence[memoryview], timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        if not self._sending.acquire(timeout=max(0.0, timeout_s)):
            raise TransportTimeoutError(f"{self.peer} was still taking another frame after {timeout_s:.1f} s")
        try:
            self._stream.send(buffers, end - time.monotonic())
            self._sent_at = time.monotonic()
        finally:
            self._sending.release()

    def beat(self, after_s: float) -> None:
        """Send a sign of life where nothing was sent for ``after_s``; never waits.

        What is being sent, or has yet to leave, is one itself as soon as the other side takes it.
        Raises TransportError where the channel is broken.
        """
        if time.monotonic() - self._sent_at < after_s or not self._sending.acquire(blocking=False):
            return
        try:
            if self._stream.has_room():
                self._stream.send([_BEAT], _BEAT_TIMEOUT_S)
                self._sent_at = time.monotonic()
        finally:
            self._sending.release()

    def silence_s(self) -> float:
        """Give for how many seconds nothing has come while a thread waits for it; 0 while none does."""
        return self._stream.silence_s()

    def receive_header(self, timeout_s: float) -> Header:
        """Wait for the header of the next frame that is no beat."""
        end = time.monotonic() + timeout_s
        left_s = timeout_s
        while True:
            self._stream.receive_into(memoryview(self._header), left_s)
            header = unpack_header(self._header)
            if header.kind is not Kind.BEAT:
                return header
            if header.body_bytes or header.payload_bytes:
                raise FormatError(f"{self.peer}: a BEAT frame of more than its header")
            left_s = max(0.0, end - time.monotonic())

    def receive_body(self, header: Header) -> bytes:
        """Receive the body: the JSON of a frame without tensors, else its descriptors."""
        body = bytearray(header.body_bytes)
        if body:
            self._stream.receive_into(memoryview(body), _BODY_TIMEOUT_S)
        return bytes(body)

    def receive_descriptors(self, header: Header) -> tuple[TensorHeader, ...]:
        """Receive and check the descriptors of a frame with tensors."""
        descriptors = unpack_descriptors(self.receive_body(header), header.tensors)
        total = sum(descriptor.payload_bytes for descriptor in descriptors)
        if total != header.payload_bytes:
            raise FormatError(f"{self.peer}: tensors of {total} bytes, a payload of {header.payload_bytes}")
        return descriptors

    def receive_payload(self, buffer: memoryview, timeout_s: float) -> None:
        """Receive the next tensor's bytes into ``buffer``."""
        self._stream.receive_into(buffer, timeout_s)

    def is_quiet(self) -> bool:
        """Say whether the channel is open and no frame waits."""
        return self._stream.is_quiet()

    def abort(self) -> None:
        """End both directions and wake the threads that use the channel."""
        self._stream.abort()

    def close(self) -> None:
        """Free the channel; no thread may be using it."""
        self._stream.close()
