"""Where a batch's time goes: computing, waiting, the link, and what is left over."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from analysis.summary import Condition, Point, pick

Kind = Literal["compute", "link", "waiting", "other"]


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
    usable = (runs["status"] == "ok") & (runs["window"] == 1)
    ways: dict[tuple[object, ...], list[dict[tuple[Kind, str], float]]] = {}
    for *key, stages, hops in pick(runs, usable, [*Condition._fields, "split", "stages", "hops"]):
        if stages:
            ways.setdefault(tuple(key), []).append(dict(_way(stages, hops)))
    found = []
    for point in points:
        own = ways.get((*point.condition, point.split))
        if own:
            found.append(_median_way(point, own))
    return found


def _way(
    stages: Sequence[Mapping[str, Any]], hops: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[tuple[Kind, str], float]]:
    """Yield what a batch meets, in order; an empty stage computes nothing and is left out."""
    for number, stage in enumerate(stages):
        if number:
            yield ("waiting", stage["device"]), stage["queue_ms"]
        if stage["last"] > stage["first"]:
            yield ("compute", stage["device"]), stage["compute_ms"]
        if number < len(hops):
            hop = hops[number]
            yield ("link", f"{hop['source']} → {hop['target']}"), hop["transfer_ms"]


def _median_way(point: Point, ways: Sequence[Mapping[tuple[Kind, str], float]]) -> Breakdown:
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
