"""How near each split came to what no runtime can beat, and where the rest went.

With one batch in flight a run's latency is its bound and what was *lost*, by what the stages and hops measured:

* computing: the stages' compute beyond what each takes alone (caches, other threads, the scheduler);
* codec: writing activations in another form, and reading them;
* waiting: inputs that lay ready while nothing was computed on their stage (hand-over between threads);
* link: transfers beyond the wire's time and delay (framing, copies, the transport);
* other: the rest, between a stage's output and its first send call for one.

With several in flight it is the period that is longer than the bound's: by the computing of the stage that sets it, if
one does, and else by its idling.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from analysis.intervals import Interval, interval
from analysis.summary import Condition, Point, pick


class Lost(NamedTuple):
    """Milliseconds of a batch's way beyond the bound; below zero where a part was faster than alone."""

    computing_ms: float
    codec_ms: float
    waiting_ms: float
    link_ms: float
    other_ms: float


class LostPeriod(NamedTuple):
    """Milliseconds of a period beyond the bound's."""

    computing_ms: float
    idle_ms: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatencyGap:
    """Latency against its bound, over the window 1 runs; medians."""

    latency_ms: float
    bound_ms: float
    efficiency: Interval
    lost: Lost


@dataclasses.dataclass(frozen=True, kw_only=True)
class ThroughputGap:
    """Throughput against its bound, over the runs of the point's window.

    ``limit`` is what mostly set the bound (``stage``, ``link``, ``cores``, ``window``), and ``where`` which of them.
    """

    window: int
    bound_ips: float
    efficiency: Interval
    limit: str
    where: str
    lost: LostPeriod


@dataclasses.dataclass(frozen=True, kw_only=True)
class Nearness:
    """One split against its bounds; None where no run knows of one."""

    condition: Condition
    split: str
    latency: LatencyGap | None
    throughput: ThroughputGap | None


class _Run(NamedTuple):
    window: int
    batch: int
    latency_ms: float
    throughput_ips: float
    latency_bound_ms: float
    throughput_bound_ips: float
    latency_efficiency: float
    throughput_efficiency: float
    throughput_limit: str
    stages: Sequence[Mapping[str, Any]]
    hops: Sequence[Mapping[str, Any]]


def find_nearness(runs: pd.DataFrame, points: Sequence[Point]) -> list[Nearness]:
    """Return how near each point came to its bounds, for those that have any run with one and its stages."""
    usable = (runs["status"] == "ok") & runs["latency_bound_ms"].notna()
    count = len(Condition._fields)
    known = pick(runs, usable, [*Condition._fields, "split", *_Run._fields])
    wanted = {(point.condition, point.split) for point in points}
    groups: dict[tuple[Condition, str], list[_Run]] = {}
    for values in known:
        key = Condition._make(values[:count]), values[count]
        if key in wanted and (run := _Run._make(values[count + 1 :])).stages:
            groups.setdefault(key, []).append(run)
    return [
        Nearness(
            condition=point.condition,
            split=point.split,
            latency=_latency([run for run in own if run.window == 1]),
            throughput=_throughput([run for run in own if run.window == point.throughput_window]),
        )
        for point in points
        if (own := groups.get((point.condition, point.split)))
    ]


def _latency(runs: Sequence[_Run]) -> LatencyGap | None:
    if not runs:
        return None
    lost = [_lost(run) for run in runs]
    return LatencyGap(
        latency_ms=statistics.median(run.latency_ms for run in runs),
        bound_ms=statistics.median(run.latency_bound_ms for run in runs),
        efficiency=interval([[run.latency_efficiency] for run in runs]),
        lost=Lost(*(statistics.median(part) for part in zip(*lost, strict=True))),
    )


def _lost(run: _Run) -> Lost:
    alone = sum(stage["alone_ms"] or 0.0 for stage in run.stages)
    computing = sum(stage["compute_ms"] for stage in run.stages if stage["first"] < stage["last"]) - alone
    codec = sum(hop["encode_ms"] + hop["decode_ms"] for hop in run.hops)
    waiting = sum(stage["queue_ms"] for stage in run.stages)
    link = sum(hop["transfer_ms"] for hop in run.hops) - (run.latency_bound_ms - alone)
    return Lost(
        computing_ms=computing,
        codec_ms=codec,
        waiting_ms=waiting,
        link_ms=link,
        other_ms=run.latency_ms - run.latency_bound_ms - computing - codec - waiting - link,
    )


def _throughput(runs: Sequence[_Run]) -> ThroughputGap | None:
    found = [run for run in runs if run.throughput_efficiency > 0]
    if not found:
        return None
    ((limit, _),) = Counter(run.throughput_limit for run in found).most_common(1)
    name, _, where = limit.partition(" ")
    lost = [_lost_period(run) for run in found]
    return ThroughputGap(
        window=found[0].window,
        bound_ips=statistics.median(run.throughput_bound_ips for run in found),
        efficiency=interval([[run.throughput_efficiency] for run in found]),
        limit=name,
        where=where,
        lost=LostPeriod(*(statistics.median(part) for part in zip(*lost, strict=True))),
    )


def _lost_period(run: _Run) -> LostPeriod:
    limit, _, where = run.throughput_limit.partition(" ")
    least_ms = run.batch * 1e3 / run.throughput_bound_ips
    compute = {stage["device"]: stage["compute_ms"] for stage in run.stages}
    computing = compute[where] - least_ms if limit == "stage" else 0.0
    return LostPeriod(computing, run.batch * 1e3 / run.throughput_ips - least_ms - computing)
