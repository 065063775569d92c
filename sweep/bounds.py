"""What no runtime can beat with these stages on these links, and how near a run came.

Latency: each stage's blocks alone, one after the other, and between them the bytes on the wire over the link's
measured rate, and its delay.  Throughput: a batch in every period, which is no shorter than

- what a stage takes alone; under a quota of less than its threads, its processor time over the quota;
- what a hop's bytes take at its rate;
- the processor time of stages that share cores, over the number of those cores;
- a batch's way there and its result's way back, over the window: so many are in flight and no more.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from links.probe.verdict import TCP_OVERHEAD_BYTES, TCP_PAYLOAD_BYTES
from stage_runtime.formats.row import HopFigures, LinkDirection, StageFigures

_BITS_PER_MS = 1e3  # of one Mbit/s

Limit = Literal["stage", "link", "cores", "window"]


class Period(NamedTuple):
    """The least time between two batches that something allows: ``where`` is a device, ``a → b``, or several."""

    limit: Limit
    where: str
    ms: float


class Bounds(NamedTuple):
    """The least latency and the shortest period of a batch; ``period`` says what sets it."""

    latency_ms: float
    period: Period

    def throughput_ips(self, batch: int) -> float | None:
        """Give the most images per second; None where nothing takes any time."""
        return batch * 1e3 / self.period.ms if self.period.ms > 0 else None


def find_bounds(
    stages: Sequence[StageFigures], hops: Sequence[HopFigures], links: Sequence[LinkDirection], window: int
) -> Bounds | None:
    """Work the bounds out of a run's figures; None where a stage with blocks was not measured alone."""
    if not stages or any(stage.alone_ms is None and stage.first < stage.last for stage in stages):
        return None
    by_ends = {(link.source, link.target): link for link in links}
    there = [_carry(by_ends.get((hop.source, hop.target)), hop.bytes) for hop in hops]
    back = [_carry(by_ends.get((hop.target, hop.source)), hop.result_bytes) for hop in hops]
    latency = sum(stage.alone_ms or 0.0 for stage in stages) + sum(map(sum, there))
    periods = [Period("stage", stage.device, _sustained_ms(stage)) for stage in stages]
    periods += [
        Period("link", f"{hop.source} → {hop.target}", way.sending_ms) for hop, way in zip(hops, there, strict=True)
    ]
    periods += [
        Period("link", f"{hop.target} → {hop.source}", way.sending_ms) for hop, way in zip(hops, back, strict=True)
    ]
    periods += _shared(stages)
    periods.append(Period("window", str(window), (latency + sum(map(sum, back))) / window))
    return Bounds(latency, max(periods, key=lambda period: period.ms))


class _Way(NamedTuple):
    """A message's way over a link: how long it occupies the link, and what passes besides until it is there."""

    sending_ms: float
    delay_ms: float


def _carry(link: LinkDirection | None, size: int) -> _Way:
    """Take so many bytes over TCP: with headers at the measured rate, else that in force; 0 for what is not known.

    A link that nobody shapes delays a message by half its round trip.
    """
    if link is None or not size:
        return _Way(0.0, 0.0)
    rate = link.bulk_mbit or link.in_force.get("rate_mbit")
    bits = 8 * (size + -(-size // TCP_PAYLOAD_BYTES) * TCP_OVERHEAD_BYTES)
    delay = (link.rtt_ms or 0.0) / 2 if link.backend == "none" else link.in_force.get("delay_ms") or 0.0
    return _Way(bits / rate / _BITS_PER_MS if rate else 0.0, delay)


def _sustained_ms(stage: StageFigures) -> float:
    """Give a stage's time per batch when it never rests.

    A quota stops a stage for longer than its batch takes well rested, and some batches not at all: over many, it
    has its processor time over its quota.
    """
    if stage.processors is not None and stage.alone_cpu_ms is not None and stage.processors < stage.threads:
        return stage.alone_cpu_ms / stage.processors
    return stage.alone_ms or 0.0


def _shared(stages: Sequence[StageFigures]) -> Iterator[Period]:
    """Yield what the cores allow of any stages that share some: all their processor time must pass through them."""
    sharing = [stage for stage in stages if stage.cores and stage.alone_cpu_ms is not None]
    for count in range(2, len(sharing) + 1):
        for group in itertools.combinations(sharing, count):
            cores = set().union(*(stage.cores for stage in group))
            ms = sum(stage.alone_cpu_ms or 0.0 for stage in group) / len(cores)
            yield Period("cores", " + ".join(stage.device for stage in group), ms)
