"""Where a batch's time goes: computing, waiting, the link, and what is left over."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from analysis.records import Records
from analysis.summary import Condition, Point, by_point
from stage_runtime.formats.row import HopFigures, StageFigures

Kind = Literal["compute", "link", "waiting", "other"]
_Way = dict[tuple[Kind, str], float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segment:
    """One stretch of a batch's way: ``where`` is a device, or ``a → b`` for a link."""

    kind: Kind
    where: str
    ms: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Breakdown:
    """The way of one batch through one split, window 1, in order.

    Each segment is a median over repeats.  ``other`` is what the latency holds beyond them
    (framing, hand-over between threads); where the segments' medians add up to more than the
    median latency there is none.
    """

    condition: Condition
    split: str
    segments: tuple[Segment, ...]
    latency_ms: float


def break_down(runs: pd.DataFrame, points: Sequence[Point]) -> list[Breakdown]:
    """Return one breakdown per point whose window 1 runs carry stage figures."""
    usable = runs[(runs["status"] == "ok") & (runs["window"] == 1) & (runs["stages"].map(len) > 0)]
    ways = _ways(usable)
    groups = by_point(usable)
    return [
        _median_way(point, [ways[place] for place in groups[point.condition, point.split]])
        for point in points
        if (point.condition, point.split) in groups
    ]


def _ways(runs: pd.DataFrame) -> list[_Way]:
    """Return what a batch of each run meets, in order; an empty stage computes nothing and is left out."""
    stages, hops = Records(runs["stages"], StageFigures), Records(runs["hops"], HopFigures)
    devices, queues, computes = (stages[name].tolist() for name in ("device", "queue_ms", "compute_ms"))
    empty = (stages["first"] == stages["last"]).tolist()
    links = [f"{source} → {target}" for source, target in zip(hops["source"], hops["target"], strict=True)]
    transfers = hops["transfer_ms"].tolist()
    found = []
    places = (stages.begins, stages.counts, hops.begins, hops.counts)
    for stage, count, hop, crossed in zip(*(place.tolist() for place in places), strict=True):
        way: _Way = {}
        for number in range(count):
            device = devices[stage + number]
            if number:
                way["waiting", device] = queues[stage + number]
            if not empty[stage + number]:
                way["compute", device] = computes[stage + number]
            if number < crossed:
                way["link", links[hop + number]] = transfers[hop + number]
        found.append(way)
    return found


def _median_way(point: Point, ways: Sequence[_Way]) -> Breakdown:
    segments = [
        Segment(
            kind=kind,
            where=where,
            ms=max(0.0, float(np.median([way.get((kind, where), 0.0) for way in ways]))),
        )
        for kind, where in ways[0]
    ]
    left = point.latency.value - sum(segment.ms for segment in segments)
    if left > 0:
        segments.append(Segment(kind="other", where="", ms=left))
    return Breakdown(
        condition=point.condition, split=point.split, segments=tuple(segments), latency_ms=point.latency.value
    )
