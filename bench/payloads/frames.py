"""Orders, payloads and answers as frames of the project's own wire."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec

from bench.payloads.plan import Order
from bench.testbed import BenchError
from stage_runtime.wire.channel import Channel
from stage_runtime.wire.frames import Header, Kind, TensorHeader

TIMEOUT_S = 300.0
_RUN = 1
_PATTERN_BYTES = 2**20


def give_order(channel: Channel, order: Order) -> None:
    """Tell the serving end what to do next."""
    channel.send_message(Kind.CONFIGURE, _RUN, 0, msgspec.json.encode(order), TIMEOUT_S)


def orders(channel: Channel) -> Iterator[Order]:
    """Give each order that comes, until the driving end has finished."""
    while True:
        header = channel.receive_header(TIMEOUT_S)
        if header.kind is Kind.FINISH:
            return
        yield msgspec.json.decode(channel.receive_body(_expect(header, Kind.CONFIGURE)), type=Order)


def finish(channel: Channel) -> None:
    """Let the serving end go."""
    channel.send_message(Kind.FINISH, _RUN, 0, b"", TIMEOUT_S)


def answer(channel: Channel, body: bytes = b"") -> None:
    """Say that an order is carried out, and with what result."""
    channel.send_message(Kind.FIGURES, _RUN, 0, body, TIMEOUT_S)


def take_answer(channel: Channel) -> bytes:
    """Wait for the answer to an order."""
    return channel.receive_body(_expect(channel.receive_header(TIMEOUT_S), Kind.FIGURES))


def send_payload(channel: Channel, kind: Kind, number: int, payload: memoryview) -> None:
    """Send a payload as a stage sends an activation, straight from its memory."""
    channel.send_tensors(kind, _RUN, number, [(TensorHeader("uint8", (payload.nbytes,)), payload)], TIMEOUT_S)


def receive_payload(channel: Channel, kind: Kind, buffer: memoryview) -> None:
    """Receive a payload into memory that is used again."""
    header = _expect(channel.receive_header(TIMEOUT_S), kind)
    found = channel.receive_descriptors(header)
    if found != (TensorHeader("uint8", (buffer.nbytes,)),):
        raise BenchError(f"a payload of {buffer.nbytes} bytes was to come, and {found} came")
    channel.receive_payload(buffer, TIMEOUT_S)


def make_payload(size: int) -> memoryview:
    """Make bytes to send: pages of their own, as an activation has, not the kernel's one page of zeros."""
    pattern = random.Random(size).randbytes(min(size, _PATTERN_BYTES))  # noqa: S311  (filling)
    return memoryview(bytearray(pattern * -(-size // len(pattern))))[:size]


def _expect(header: Header, kind: Kind) -> Header:
    if header.kind is not kind:
        raise BenchError(f"a {kind.name} frame was to come, and a {header.kind.name} frame came")
    return header
