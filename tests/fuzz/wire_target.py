"""Read bytes as every reader of the wire would: whatever they are, they are taken or refused, and nothing else happens.

``consume`` is what the property tests and the coverage-guided run both call.  The first byte chooses the reader.  A
reader may raise FormatError or TransportError; anything else is a defect, as is asking for more memory at once than the
bounds of the wire format allow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from stage_runtime.codecs.choice import NAMES, Reading, make_codec
from stage_runtime.errors import FormatError, TransportError
from stage_runtime.tensors import describe
from stage_runtime.transports.base import Stream
from stage_runtime.wire import frames, handshake, messages
from stage_runtime.wire.channel import Channel
from stage_runtime.wire.frames import Header, Kind, TensorHeader
from stage_runtime.wire.handshake import greet_caller, greet_listener

SECRET = b"0123456789abcdef"
ACTIVATION = TensorHeader("float32", (2, 3, 4, 5))
# nothing that a stranger sends is awaited in larger pieces
_MOST_OF_A_STRANGER = 64
_MESSAGES: dict[Kind, type] = {
    Kind.CONFIGURE: messages.Configure,
    Kind.ERROR: messages.Error,
    Kind.PONG: messages.Pong,
    Kind.PROGRESS: messages.Progress,
    Kind.FIGURES: messages.Figures,
}


class GivenBytes(Stream):
    """A stream whose other side has sent these bytes and gone."""

    def __init__(self, data: bytes, most: int) -> None:
        self._left = memoryview(data)
        self._most = most

    @property
    def peer(self) -> str:
        return "10.9.8.7:6"

    def send(self, buffers: Sequence[memoryview], timeout_s: float) -> None:
        """Take everything."""

    def receive_into(self, buffer: memoryview, timeout_s: float) -> None:  # noqa: ARG002 - nothing is waited for
        assert buffer.nbytes <= self._most, f"{buffer.nbytes} bytes are awaited, {self._most} are allowed"
        if buffer.nbytes > self._left.nbytes:
            raise TransportError("the other side closed the connection")
        buffer[:] = self._left[: buffer.nbytes]
        self._left = self._left[buffer.nbytes :]

    def make_room(self, in_flight_bytes: int, second_bytes: int) -> None:
        """Nothing is on its way."""

    def has_room(self) -> bool:
        return True

    def silence_s(self) -> float:
        return 0.0

    def is_quiet(self) -> bool:
        return not self._left.nbytes

    def abort(self) -> None:
        """Nothing to end."""

    def close(self) -> None:
        """Nothing to free."""


def consume(data: bytes) -> None:
    """Have one of the readers read the bytes."""
    if not data:
        return
    read = READERS[data[0] % len(READERS)]
    try:
        read(data[1:])
    except (FormatError, TransportError):
        return


def read_frames(data: bytes) -> None:
    """Read frame after frame, as the two sides of a hop do."""
    channel = Channel(GivenBytes(data, frames.MAX_BODY_BYTES))
    reading = Reading(ACTIVATION, "auto")
    target = torch.empty(ACTIVATION.shape)
    while True:
        header = channel.receive_header(1.0)
        assert 0 <= header.body_bytes <= frames.MAX_BODY_BYTES
        assert 0 <= header.payload_bytes <= frames.MAX_PAYLOAD_BYTES
        if header.kind in {Kind.BATCH, Kind.RESULT}:
            codec = reading.accept(header.codec, channel.receive_descriptors(header))
            payload = reading.memory(header.payload_bytes)
            channel.receive_payload(payload, 1.0)
            codec.decode(payload, target)
        else:
            body = channel.receive_body(header)
            if header.kind in _MESSAGES:
                _read_message(_MESSAGES[header.kind], body)


def read_header(data: bytes) -> None:
    """Read a header alone; what is taken is written as it came."""
    assert frames.pack_header(frames.unpack_header(data)) == data


def read_descriptors(data: bytes) -> None:
    """Read descriptors, as many as the first byte says; what is taken is written as it came."""
    found = frames.unpack_descriptors(data[1:], data[0] if data else 0)
    assert frames.pack_descriptors(found) == data[1:]
    assert all(tensor.payload_bytes >= 0 for tensor in found)


def read_messages(data: bytes) -> None:
    """Read a body as each of the messages; one that is taken says the same when it is written and read again."""
    refused = 0
    for kind in _MESSAGES.values():
        try:
            _read_message(kind, data)
        except FormatError:
            refused += 1
    if refused == len(_MESSAGES):
        raise FormatError("no message at all")


def _read_message(kind: type, body: bytes) -> None:
    told = messages.decode(body, kind)
    assert messages.decode(messages.encode(told), kind) == told


def read_codec(data: bytes) -> None:
    """Decode a payload by the codec that the first byte chooses, into an activation of the right size."""
    name = NAMES[data[0] % len(NAMES)] if data else "none"
    codec = make_codec(name, ACTIVATION)
    payload = bytearray(data[1:])
    described: tuple[TensorHeader, ...] = (TensorHeader("uint8", (len(payload),)),)
    if name != "lossless":
        described = tuple(header for header, _ in codec.encode(torch.zeros(ACTIVATION.shape)))
        size = sum(header.payload_bytes for header in described)
        payload = (payload * (size // max(1, len(payload)) + 1))[:size] if payload else bytearray(size)
    codec.check(described)
    target = torch.empty(ACTIVATION.shape)
    codec.decode(memoryview(payload), target)
    assert describe(target) == ACTIVATION


def greet_as_listener(data: bytes) -> None:
    """Take the bytes for what a caller says to a stage: nobody gets in by chance."""
    greet_caller(GivenBytes(data, _MOST_OF_A_STRANGER), SECRET, "a:1", 1.0, tls=len(data) % 2 == 1)
    raise AssertionError("a stranger was let in")


def greet_as_caller(data: bytes) -> None:
    """Take the bytes for what a stage greets a caller with."""
    greet_listener(GivenBytes(data, _MOST_OF_A_STRANGER), SECRET, "a:1", 1.0, tls=len(data) % 2 == 1)
    raise AssertionError("a stranger was taken for a stage")


READERS: tuple[Callable[[bytes], None], ...] = (
    read_frames, read_messages, read_codec, read_descriptors, read_header, greet_as_listener, greet_as_caller,
)  # fmt: skip


def seeds() -> list[bytes]:
    """Give an input of each sort that a reader takes, for a run that changes them."""
    return [bytes([place]) + data for place, examples in enumerate(_examples()) for data in examples]


def _examples() -> list[list[bytes]]:
    bodies = [
        messages.encode(messages.Error(device="pi2", reason="out of memory", status="timeout")),
        messages.encode(messages.Pong(arrived_ns=2**62, left_ns=2**62 + 1)),
        messages.encode(messages.Progress(stage=1, phase="running", received=3, computed=2, sent=2)),
        messages.encode(messages.Figures(stages=(), hops=())),
    ]
    kinds = (Kind.ERROR, Kind.PONG, Kind.PROGRESS, Kind.FIGURES)
    told = [_frame(kind, body) for kind, body in zip(kinds, bodies, strict=True)]
    batches = [_batch(number) for number in range(len(NAMES))]
    packed = [bytes([number]) + b"".join(bytes(data) for _, data in _encoded(number)) for number in range(len(NAMES))]
    described = frames.pack_descriptors((ACTIVATION, TensorHeader("uint8", (7,))))
    header = frames.pack_header(Header(Kind.BATCH, 1, 7, 3, 18, 480, 2))
    greetings = [magic + bytes(64) for magic in (handshake.MAGIC, handshake.TLS_MAGIC)]
    return [
        [*told, *batches, b"".join([*batches, *told])],
        bodies,
        packed,
        [b"\2" + described],
        [header],
        greetings,
        greetings,
    ]


def _frame(kind: Kind, body: bytes) -> bytes:
    return frames.pack_header(Header(kind, 0, 1, 0, len(body), 0)) + body


def _encoded(number: int) -> Sequence[tuple[TensorHeader, memoryview]]:
    activation = torch.arange(120, dtype=torch.float32).reshape(ACTIVATION.shape)
    return make_codec(NAMES[number], ACTIVATION).encode(activation)


def _batch(number: int) -> bytes:
    parts = _encoded(number)
    body = frames.pack_descriptors(tuple(header for header, _ in parts))
    payload = b"".join(bytes(data) for _, data in parts)
    return frames.pack_header(Header(Kind.BATCH, len(parts), 1, 0, len(body), len(payload), number)) + body + payload
