"""How the front of one study moves from its best network to its worst.

Networks are ordered by the least time for a megabyte along the chain, by what was asked of the links.  A split
*stays* where it is on the front before and after, *comes* or *leaves* where it is on one of the two;
a change is *unsure* where the split is within noise of the front on the other side.  Splits that were not measured
on both sides neither come nor leave.

Hypervolumes have one reference point for all networks: no throughput, and a tenth more than the greatest latency of
any front.  The *ideal* is the area of a point that has the least latency and the most throughput of all networks.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from analysis.fronts import Front, hypervolume
from analysis.summary import Condition, Point

_BEYOND = 1.1


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """One network's front, and what changed since the network before (which was the next better one).

    ``carry_ms`` is the least time for a megabyte.  ``kept`` is the share of the splits that the fronts here
    and under the best network have in common, among those on either.  ``first_blocks`` and ``first_compute``
    are the first device's share of the blocks and of the compute time, means over the front's points (NaN where
    runs carry no stages).
    """

    front: Front
    place: int
    carry_ms: float
    stayed: tuple[str, ...]
    came: tuple[str, ...]
    left: tuple[str, ...]
    unsure: tuple[str, ...]
    kept: float
    first_blocks: float
    first_compute: float
    hypervolume: float
    hypervolume_share: float


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Moves:
    """A study's fronts from the best network to the worst; ``always`` are the splits on all of them."""

    condition: Condition
    steps: tuple[Step, ...]
    always: tuple[str, ...]
    hypervolume_latency_ms: float


def follow(
    condition: Condition, fronts: Sequence[Front], carry: Mapping[tuple[str, str], float], limit: float | None = None
) -> Moves:
    """Follow a study's fronts over its networks; ``carry`` is :func:`analysis.networks.carry_times`.

    ``limit`` is the latency up to which hypervolumes count.
    """
    times = {front: carry.get((front.condition.chain, front.condition.network), 0.0) for front in fronts}
    ordered = sorted(fronts, key=lambda front: (times[front], front.condition.network))
    members = [point for front in ordered for point in front.front_points]
    limit = _BEYOND * max(point.latency.value for point in members) if limit is None else limit
    least, most = min(p.latency.value for p in members), max(p.throughput.value for p in members)
    ideal = max(0.0, limit - least) * most
    steps = []
    for place, front in enumerate(ordered):
        area = hypervolume(_values(front), limit)
        before = ordered[place - 1] if place else front
        steps.append(
            Step(
                front=front,
                place=place,
                carry_ms=times[front],
                **_changes(before, front),
                kept=_kept(ordered[0], front),
                first_blocks=_first_share([point.blocks for point in front.front_points]),
                first_compute=_first_share([point.compute_ms for point in front.front_points]),
                hypervolume=area,
                hypervolume_share=area / ideal if ideal else math.nan,
            )
        )
    always = set.intersection(*(_names(front.front_points) for front in ordered))
    return Moves(
        condition=condition,
        steps=tuple(steps),
        always=tuple(point.split for point in ordered[0].front_points if point.split in always),
        hypervolume_latency_ms=limit,
    )


def _names(points: Sequence[Point]) -> set[str]:
    return {point.split for point in points}


def _changes(before: Front, after: Front) -> dict[str, tuple[str, ...]]:
    old, new = _names(before.front_points), _names(after.front_points)
    both = _names(before.points) & _names(after.points)
    came = tuple(p.split for p in after.front_points if p.split in both - old)
    left = tuple(p.split for p in before.front_points if p.split in both - new)
    near = (_names(before.near_points) & set(came)) | (_names(after.near_points) & set(left))
    return {
        "stayed": tuple(p.split for p in after.front_points if p.split in old),
        "came": came,
        "left": left,
        "unsure": tuple(split for split in (*came, *left) if split in near),
    }


def _kept(first: Front, front: Front) -> float:
    one, other = _names(first.front_points), _names(front.front_points)
    return len(one & other) / len(one | other)


def _first_share(amounts: Sequence[tuple[float, ...]]) -> float:
    """Return the mean over points of the first device's part of the whole."""
    known = [amount for amount in amounts if sum(amount) > 0]
    return float(np.mean([amount[0] / sum(amount) for amount in known])) if known else math.nan


def _values(front: Front) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array([(point.latency.value, point.throughput.value) for point in front.front_points])
