"""The driving end: what is measured in a round, and how."""

from __future__ import annotations

import random
import socket
import statistics
import time
from collections.abc import Mapping

import msgspec

from bench.payloads.frames import give_order, make_payload, receive_payload, send_payload, take_answer
from bench.payloads.plan import ECHO_BYTES, Arrived, EndConfig, Order, Size, shuffled
from bench.payloads.results import Echo, Goodput, Round, RoundTrip
from bench.payloads.yardsticks import bare_connection, bare_pings, measure_iperf
from stage_runtime.formats.cell import TransportName
from stage_runtime.wire.channel import Channel
from stage_runtime.wire.frames import Kind

# So many exchanges of a kind follow each other before another kind's turn.
_BLOCK = 20


class Driver:
    """Measures over open channels; orders that concern no transport go over the first of them."""

    def __init__(self, config: EndConfig, channels: Mapping[TransportName, Channel]) -> None:
        self._config = config
        self._channels = channels
        self._orders = next(iter(channels.values()))
        self._payload = make_payload(max(ECHO_BYTES, *(size.payload_bytes for size in config.sizes)))
        self._bare: socket.socket | None = None

    def round(self, number: int) -> Round:
        """Measure everything once."""
        before = self._iperf()
        goodputs = [self._goodput(transport, size) for transport, size in shuffled(self._config, number)]
        round_trips = self._round_trips(number)
        return Round(iperf_mbit=(*before, *self._iperf()), goodputs=tuple(goodputs), round_trips=round_trips)

    def close(self) -> None:
        """Close the bare connection."""
        if self._bare is not None:
            self._bare.close()

    def _goodput(self, transport: TransportName, size: Size) -> Goodput:
        channel, payload = self._channels[transport], self._payload[: size.payload_bytes]
        give_order(channel, Order(what="goodput", payload_bytes=size.payload_bytes, frames=size.frames))
        take_answer(channel)
        for number in range(size.frames):
            send_payload(channel, Kind.BATCH, number, payload)
        arrived = msgspec.json.decode(take_answer(channel), type=Arrived)
        mbit = arrived.counted * size.payload_bytes * 8e3 / (arrived.end_ns - arrived.begin_ns)
        return Goodput(transport=transport, payload_bytes=size.payload_bytes, frames=size.frames, mbit=mbit)

    def _round_trips(self, number: int) -> tuple[RoundTrip, ...]:
        """Time exchanges of 4 KiB over each transport and over the bare socket, block by block in turn."""
        rng = random.Random(f"{self._config.seed}/{number}/echo")  # noqa: S311  (an order)
        kinds: list[Echo] = ["bare", *self._channels]
        times: dict[Echo, list[int]] = {kind: [] for kind in kinds}
        for _ in range(max(1, self._config.echoes // _BLOCK)):
            for kind in rng.sample(kinds, len(kinds)):
                times[kind] += self._bare_block() if kind == "bare" else self._block(self._channels[kind])
        return tuple(
            RoundTrip(over=kind, payload_bytes=ECHO_BYTES, count=len(found), ms=statistics.median(found) / 1e6)
            for kind, found in times.items()
        )

    def _block(self, channel: Channel) -> list[int]:
        give_order(channel, Order(what="echo", payload_bytes=ECHO_BYTES, frames=_BLOCK))
        take_answer(channel)
        payload, buffer = self._payload[:ECHO_BYTES], memoryview(bytearray(ECHO_BYTES))
        times = []
        for number in range(_BLOCK):
            begin = time.perf_counter_ns()
            send_payload(channel, Kind.BATCH, number, payload)
            receive_payload(channel, Kind.RESULT, buffer)
            times.append(time.perf_counter_ns() - begin)
        return times

    def _bare_block(self) -> list[int]:
        give_order(self._orders, Order(what="bare", payload_bytes=ECHO_BYTES, frames=_BLOCK))
        take_answer(self._orders)
        if self._bare is None:
            self._bare = bare_connection(self._config.called, self._config.port + 1)
        return bare_pings(self._bare, self._payload[:ECHO_BYTES], _BLOCK)

    def _iperf(self) -> tuple[float, ...]:
        if not self._config.iperf_s:
            return ()
        give_order(self._orders, Order(what="iperf"))
        take_answer(self._orders)
        found = measure_iperf(self._config.called, self._config.port + 2, self._config.iperf_s)
        self._block(self._orders)  # comes back when what iperf3 left in the link's queue is through
        return (found,)
