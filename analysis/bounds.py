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
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.intervals import Floats, Interval, interval
from analysis.records import Records, as_objects
from analysis.summary import Condition, Point, by_point
from stage_runtime.formats.row import HopFigures, StageFigures

# where the efficiency of a run stands, behind its bound
_EFFICIENCY = 1


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


def find_nearness(runs: pd.DataFrame, points: Sequence[Point]) -> list[Nearness]:
    """Return how near each point came to its bounds, for those that have any run with one and its stages."""
    usable = (runs["status"] == "ok") & runs["latency_bound_ms"].notna()
    known = runs[usable & (runs["stages"].map(len) > 0)]
    windows, limits = known["window"].to_numpy(), known["throughput_limit"].to_numpy()
    latencies, periods = _latencies(known), _periods(known)
    groups = by_point(known)
    found = []
    for point in points:
        own = np.array(groups.get((point.condition, point.split), ()), dtype=np.int64)
        if not len(own):
            continue
        single, wide = own[windows[own] == 1], own[windows[own] == point.throughput_window]
        wide = wide[periods[wide, _EFFICIENCY] > 0]
        found.append(
            Nearness(
                condition=point.condition,
                split=point.split,
                latency=_latency(latencies[single]) if len(single) else None,
                throughput=_throughput(point.throughput_window, periods[wide], limits[wide]) if len(wide) else None,
            )
        )
    return found


def _latencies(runs: pd.DataFrame) -> Floats:
    """Return for each run its bound, efficiency and latency in ms, and what it lost in the order of :class:`Lost`."""
    stages, hops = Records(runs["stages"], StageFigures), Records(runs["hops"], HopFigures)
    latency, bound = runs["latency_ms"].to_numpy(), runs["latency_bound_ms"].to_numpy()
    alone = stages.sums(np.nan_to_num(stages["alone_ms"]))
    computing = stages.sums(np.where(stages["first"] < stages["last"], stages["compute_ms"], 0.0)) - alone
    codec = hops.sums(hops["encode_ms"] + hops["decode_ms"])
    waiting = stages.sums(stages["queue_ms"])
    link = hops.sums(hops["transfer_ms"]) - (bound - alone)
    other = latency - bound - computing - codec - waiting - link
    return np.column_stack(
        [bound, runs["latency_efficiency"].to_numpy(), latency, computing, codec, waiting, link, other]
    )


def _latency(runs: Floats) -> LatencyGap:
    bound, _, latency, *lost = np.median(runs, axis=0).tolist()
    efficiency = interval(runs[:, [_EFFICIENCY]].tolist())
    return LatencyGap(latency_ms=latency, bound_ms=bound, efficiency=efficiency, lost=Lost(*lost))


def _periods(runs: pd.DataFrame) -> Floats:
    """Return for each run its bound in images/s, efficiency, and what its period lost as :class:`LostPeriod` has it."""
    stages = Records(runs["stages"], StageFigures)
    images, bound = runs["batch"].to_numpy() * 1e3, runs["throughput_bound_ips"].to_numpy()
    limits = [_split(limit or "") for limit in runs["throughput_limit"]]
    by_stage = np.array([kind == "stage" for kind, _ in limits], dtype=bool)
    slowest = stages["device"] == stages.of_each(as_objects([where for _, where in limits]))
    computing = stages.sums(np.where(slowest, stages["compute_ms"], 0.0)) - images / bound
    computing = np.where(by_stage, computing, 0.0)
    idle = images / runs["throughput_ips"].to_numpy() - images / bound - computing
    return np.column_stack([bound, runs["throughput_efficiency"].to_numpy(), computing, idle])


def _throughput(window: int, runs: Floats, limits: Sequence[str]) -> ThroughputGap:
    ((limit, _),) = Counter(limits).most_common(1)
    kind, where = _split(limit)
    bound, _, *lost = np.median(runs, axis=0).tolist()
    return ThroughputGap(
        window=window,
        bound_ips=bound,
        efficiency=interval(runs[:, [_EFFICIENCY]].tolist()),
        limit=kind,
        where=where,
        lost=LostPeriod(*lost),
    )


def _split(limit: str) -> tuple[str, str]:
    """Return what kind of limit it is, and which of them."""
    kind, _, where = limit.partition(" ")
    return kind, where
