"""What is measured, in the clear and under TLS in turn."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator, Mapping
from typing import get_args

import msgspec
import psutil

from bench.payloads.frames import finish, give_order, make_payload, receive_payload, send_payload, take_answer
from bench.payloads.plan import Arrived, Order
from bench.tls.ends import Called, How
from stage_runtime.wire.channel import Channel
from stage_runtime.wire.frames import Kind

HOWS: tuple[How, ...] = get_args(How)
SIZES = (4096, 65_536, 1_048_576, 16 * 2**20)
ECHO_BYTES = 4096
_LEAST_BYTES = 192 * 2**20
_MOST_FRAMES, _LEAST_FRAMES = 4000, 12
_ECHOES, _CONNECTS = 40, 5


class Rate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frames of one size sent one after the other; processor time is that of both ends together."""

    how: How
    payload_bytes: int
    mbit: float
    cpu_ms_per_mb: float


class Times(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Single times in one round: there and back of a small frame, and how long a connection takes to be made."""

    how: How
    echo_ms: tuple[float, ...]
    connect_ms: tuple[float, ...]


class Found(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that was measured; ``protection`` is what TLS agreed on."""

    protection: str
    rates: tuple[Rate, ...]
    times: tuple[Times, ...]


def measure(called: Called, rounds: int, seed: int = 0) -> Found:
    """Measure everything in so many rounds, each in an order of its own."""
    streams = {how: called.connect(how) for how in HOWS}
    channels = {how: Channel(stream) for how, stream in streams.items()}
    rates: list[Rate] = []
    times: list[Times] = []
    for number in range(rounds):
        order = random.Random(f"{seed}/{number}")  # noqa: S311  (an order)
        rates += _rates(called, channels, order)
        times += _times(called, channels, order)
    for channel in channels.values():
        finish(channel)
        channel.close()
    return Found(protection=streams["tls"].protection or "", rates=tuple(rates), times=tuple(times))


def _rates(called: Called, channels: Mapping[How, Channel], order: random.Random) -> Iterator[Rate]:
    peer = psutil.Process(called.pid)
    for size in order.sample(SIZES, len(SIZES)):
        payload = make_payload(size)
        frames = min(_MOST_FRAMES, max(_LEAST_FRAMES, _LEAST_BYTES // size))
        for how in order.sample(HOWS, len(HOWS)):
            channel = channels[how]
            give_order(channel, Order(what="goodput", payload_bytes=size, frames=frames))
            take_answer(channel)
            before = _cpu_s(peer)
            for number in range(frames):
                send_payload(channel, Kind.BATCH, number, payload)
            arrived = msgspec.json.decode(take_answer(channel), type=Arrived)
            yield Rate(
                how=how,
                payload_bytes=size,
                mbit=arrived.counted * size * 8e3 / (arrived.end_ns - arrived.begin_ns),
                cpu_ms_per_mb=(_cpu_s(peer) - before) * 1e9 / (frames * size),
            )


def _cpu_s(peer: psutil.Process) -> float:
    theirs = peer.cpu_times()
    return time.process_time() + theirs.user + theirs.system


def _times(called: Called, channels: Mapping[How, Channel], order: random.Random) -> Iterator[Times]:
    echoes: dict[How, list[float]] = {how: [] for how in HOWS}
    connects: dict[How, list[float]] = {how: [] for how in HOWS}
    for _ in range(_CONNECTS):
        for how in order.sample(HOWS, len(HOWS)):
            echoes[how] += _echo(channels[how], _ECHOES // _CONNECTS)
            begin = time.perf_counter_ns()
            stream = called.connect(how)
            connects[how].append((time.perf_counter_ns() - begin) / 1e6)
            extra = Channel(stream)
            finish(extra)
            extra.close()
    return (Times(how=how, echo_ms=tuple(echoes[how]), connect_ms=tuple(connects[how])) for how in HOWS)


def _echo(channel: Channel, count: int) -> list[float]:
    give_order(channel, Order(what="echo", payload_bytes=ECHO_BYTES, frames=count))
    take_answer(channel)
    payload, buffer = make_payload(ECHO_BYTES), memoryview(bytearray(ECHO_BYTES))
    instants = [time.perf_counter_ns()]
    for number in range(count):
        send_payload(channel, Kind.BATCH, number, payload)
        receive_payload(channel, Kind.RESULT, buffer)
        instants.append(time.perf_counter_ns())
    return [(after - before) / 1e6 for before, after in itertools.pairwise(instants)]
