"""The latency-throughput front: who is on it, its knee, its hypervolume, and what splitting gains.

Latency is minimised, throughput maximised.  A point is on the front unless another is at least as
good in both and better in one; equal points stand on it together.

The **knee** is the front point farthest from the straight line through the front's two ends, on the
ideal (low latency, high throughput) side, both objectives scaled to 0..1 between those ends (Das 1999,
"On characterizing the knee of the Pareto curve"; Branke et al. 2004).  A front of one point has its
knee there; a front that nowhere bulges beyond the line, as one of two points, has none.

The **probability** of being on the front is the share of replicates in which a point is on it, all points drawn
anew and independently of each other, from the distributions that their intervals come from
(:func:`analysis.intervals.draw_replicates`).  Drift that points of one repeat share would cancel between them,
so the probabilities are rather too near the middle than too sure.  A point that the medians dominate
stands **within noise** of the front when that probability is at least 5 %: with 95 % confidence one cannot say
that some other point beats it.

The **hypervolume** (ms x images/s) is the area that the front dominates, up to a reference point of
zero throughput and, unless told otherwise, the greatest latency of the condition's points.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import moocore
import numpy as np
import numpy.typing as npt

from analysis.intervals import Floats
from analysis.summary import Condition, Estimate, Point

MAXIMISE = [False, True]
SURE = 0.95
# a dominated point that is on the front with at least this probability is dominated within noise only
NOISE = 0.05
# How far the speed of a quiet machine drifted over minutes: what a single run cannot tell from a gain.
DRIFT = 1.25

Objective = Literal["latency", "throughput"]
Verdict = Literal["yes", "no", "unclear"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """The best split against the best reference in one objective.

    ``factor`` is how many times better the split is (above 1: better), ``probability`` the share of
    replicates in which it is.
    """

    objective: Objective
    split: Point
    reference: Point
    factor: float
    probability: float

    @property
    def repeated(self) -> bool:
        """Whether both were run more than once, so that ``probability`` knows of drift."""
        return self.objective_of(self.split).runs > 1 and self.objective_of(self.reference).runs > 1

    @property
    def verdict(self) -> Verdict:
        """Whether the split beats the reference.

        With repeats: ``unclear`` unless 95 % of the replicates agree.  With a single run of either:
        ``unclear`` within a factor of :data:`DRIFT`.
        """
        if self.repeated:
            sure_yes, sure_no = self.probability >= SURE, self.probability <= 1 - SURE
        else:
            sure_yes, sure_no = self.factor >= DRIFT, self.factor <= 1 / DRIFT
        return "yes" if sure_yes else "no" if sure_no else "unclear"

    def objective_of(self, point: Point) -> Estimate:
        """Return the point's estimate of the compared objective."""
        return point.latency if self.objective == "latency" else point.throughput


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Front:
    """One condition's points and which of them are on the front.

    ``on_front`` and ``probability`` (of being on the front; NaN where a point was run only once) go with
    ``points``, as does ``within_noise``; ``front_points`` run from least latency to most throughput.
    ``latency_gain`` and ``throughput_gain`` are None without a reference or without a split.
    """

    condition: Condition
    points: tuple[Point, ...]
    on_front: tuple[bool, ...]
    probability: tuple[float, ...]
    knee: Point | None
    hypervolume: float
    hypervolume_references: float
    hypervolume_latency_ms: float
    latency_gain: Comparison | None
    throughput_gain: Comparison | None

    @property
    def front_points(self) -> tuple[Point, ...]:
        """The points on the front, by latency."""
        chosen = [point for point, on in zip(self.points, self.on_front, strict=True) if on]
        return tuple(sorted(chosen, key=lambda point: (point.latency.value, point.throughput.value)))

    @property
    def within_noise(self) -> tuple[bool, ...]:
        """Which points are dominated, but not beyond noise; none where the probability is not known."""
        return tuple(
            not on and probability >= NOISE for on, probability in zip(self.on_front, self.probability, strict=True)
        )

    @property
    def near_points(self) -> tuple[Point, ...]:
        """The points that are dominated within noise only, by latency."""
        chosen = [point for point, near in zip(self.points, self.within_noise, strict=True) if near]
        return tuple(sorted(chosen, key=lambda point: point.latency.value))

    @property
    def references(self) -> tuple[Point, ...]:
        """The unsplit model on each device."""
        return tuple(point for point in self.points if point.is_reference)

    @property
    def splits(self) -> tuple[Point, ...]:
        """The points that are no references."""
        return tuple(point for point in self.points if not point.is_reference)


def non_dominated(values: Floats) -> npt.NDArray[np.bool_]:
    """Tell for each row (latency, throughput) whether no other row dominates it."""
    return np.asarray(moocore.is_nondominated(values, maximise=MAXIMISE, keep_weakly=True), dtype=np.bool_)


def find_knee(front: Floats) -> int | None:
    """Return the index of the knee among rows (latency, throughput) that are a front, in any order."""
    if len(front) == 1:
        return 0
    low, high = front.min(axis=0), front.max(axis=0)
    if (high == low).any():
        return None
    scaled = (front - low) / (high - low)
    # the ends lie at (0, 0) and (1, 1): the distance from that line is (throughput - latency) / sqrt(2)
    bulge = scaled[:, 1] - scaled[:, 0]
    best = int(bulge.argmax())
    return best if bulge[best] > np.finfo(np.float64).eps * 8 else None


def hypervolume(values: Floats, latency_ms: float) -> float:
    """Return the area that rows (latency, throughput) dominate up to (``latency_ms``, 0)."""
    inside = values[values[:, 0] < latency_ms]
    if not len(inside):
        return 0.0
    return float(moocore.hypervolume(inside, ref=[latency_ms, 0.0], maximise=MAXIMISE))


def find_fronts(points: Sequence[Point], hypervolume_latency_ms: float | None = None) -> list[Front]:
    """Return one front per condition, in the points' order."""
    groups: dict[Condition, list[Point]] = {}
    for point in points:
        groups.setdefault(point.condition, []).append(point)
    return [_find_front(condition, group, hypervolume_latency_ms) for condition, group in groups.items()]


def _find_front(condition: Condition, points: list[Point], limit: float | None) -> Front:
    values = _values(points)
    on_front = non_dominated(values)
    members = [point for point, on in zip(points, on_front, strict=True) if on]
    knee = find_knee(values[on_front])
    limit = float(values[:, 0].max()) if limit is None else limit
    references = [point for point in points if point.is_reference]
    return Front(
        condition=condition,
        points=tuple(points),
        on_front=tuple(bool(on) for on in on_front),
        probability=tuple(_front_probability(points)),
        knee=None if knee is None else members[knee],
        hypervolume=hypervolume(values, limit),
        hypervolume_references=hypervolume(_values(references), limit) if references else 0.0,
        hypervolume_latency_ms=limit,
        latency_gain=_compare("latency", points),
        throughput_gain=_compare("throughput", points),
    )


def _values(points: Sequence[Point]) -> Floats:
    return np.array([(point.latency.value, point.throughput.value) for point in points])


def _front_probability(points: Sequence[Point]) -> list[float]:
    """Return for each point the share of replicates in which it is on the front.

    NaN throughout unless every point was repeated: replicates of single runs know nothing of drift.
    """
    if any(min(point.latency.runs, point.throughput.runs) <= 1 for point in points):
        return [math.nan] * len(points)
    latency = np.stack([point.latency.replicates for point in points], axis=1)
    throughput = np.stack([point.throughput.replicates for point in points], axis=1)
    return [float(share) for share in _on_front(latency, throughput).mean(axis=0)]


def _on_front(latency: Floats, throughput: Floats) -> npt.NDArray[np.bool_]:
    """Tell for each point of each replicate (replicates x points) whether no other of that replicate dominates it.

    By latency, and at equal latency by falling throughput, a point is on the front if it has more throughput than all
    before it, or equals the last of those in both.  moocore takes a call for each replicate, and far longer.
    """
    order = np.lexsort((-throughput, latency), axis=1)
    times, rates = np.take_along_axis(latency, order, 1), np.take_along_axis(throughput, order, 1)
    best = np.maximum.accumulate(rates, axis=1)
    on = np.ones(order.shape, dtype=np.bool_)
    on[:, 1:] = rates[:, 1:] > best[:, :-1]
    for place in range(1, order.shape[1]):
        equal = (times[:, place] == times[:, place - 1]) & (rates[:, place] == rates[:, place - 1])
        on[:, place] |= equal & on[:, place - 1]
    found = np.empty_like(on)
    np.put_along_axis(found, order, on, 1)
    return found


def _compare(objective: Objective, points: Sequence[Point]) -> Comparison | None:
    splits = [point for point in points if not point.is_reference]
    references = [point for point in points if point.is_reference]
    if not splits or not references:
        return None
    split, reference = best(objective, splits), best(objective, references)
    if objective == "latency":
        factor = reference.latency.value / split.latency.value
        wins = split.latency.replicates < reference.latency.replicates
    else:
        factor = split.throughput.value / reference.throughput.value
        wins = split.throughput.replicates > reference.throughput.replicates
    return Comparison(
        objective=objective, split=split, reference=reference, factor=factor, probability=float(wins.mean())
    )


def best(objective: Objective, points: Sequence[Point]) -> Point:
    """Return the point with the least latency or the most throughput."""
    if objective == "latency":
        return min(points, key=lambda point: point.latency.value)
    return max(points, key=lambda point: point.throughput.value)
