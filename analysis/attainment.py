"""What latency and throughput a condition's splits reach together in how many of its repeats.

Each repeat gives a front of its own.  The **attainment surface** of a share joins the best pairs of latency and
throughput that at least so many of the repeats reach with some split: the median surface is what a
user may expect of a single day, and the quartile surfaces enclose the middle half of the days (da Fonseca,
Fonseca and Hall 2001, "Inferential performance assessment of stochastic optimisers and the attainment
function"; computed by moocore).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import moocore
import numpy as np

from analysis.fronts import Front, non_dominated
from analysis.intervals import Floats
from analysis.summary import Condition, Point, RunKey

# a quarter of the repeats reach the 25 % surface; a surface needs repeats to differ
PERCENTS = (25, 50, 75)
LEAST_REPEATS = 3

Corners = tuple[tuple[float, float], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attainment:
    """A condition's attainment surfaces and the fronts of its repeats, each as (latency, throughput) by latency.

    ``left_out`` names splits that were run in fewer than :data:`LEAST_REPEATS` repeats.
    """

    condition: Condition
    repeats: int
    surfaces: dict[int, Corners]
    fronts: tuple[Corners, ...]
    left_out: tuple[str, ...]


def attain(front: Front) -> Attainment | None:
    """Return a condition's attainment over those repeats in which every split was run, or None for too few."""
    runs = {point: _common(point) for point in front.points}
    chosen = [point for point in front.points if len(runs[point]) >= LEAST_REPEATS]
    if not chosen:
        return None
    repeats = sorted(set.intersection(*(runs[point] for point in chosen)))
    if len(repeats) < LEAST_REPEATS:
        return None
    values = [_values(chosen, key) for key in repeats]
    return Attainment(
        condition=front.condition,
        repeats=len(repeats),
        surfaces=_surfaces(values),
        fronts=tuple(_corners(table[non_dominated(table)]) for table in values),
        left_out=tuple(point.split for point in front.points if point not in chosen),
    )


def _common(point: Point) -> set[RunKey]:
    """Return the repeats in which both latency and throughput were measured."""
    return set(point.latency.medians) & set(point.throughput.medians)


def _values(points: Sequence[Point], key: RunKey) -> Floats:
    return np.array([(point.latency.medians[key], point.throughput.medians[key]) for point in points])


def _surfaces(values: Sequence[Floats]) -> dict[int, Corners]:
    count = len(values[0])
    # the library minimises both; in two dimensions it takes m log m for m points in all
    table = np.concatenate(values) * (1.0, -1.0)
    found = moocore.eaf(table, np.repeat(np.arange(len(values)), count), percentiles=list(PERCENTS))
    return {percent: _corners(found[found[:, 2] == percent, :2] * (1.0, -1.0)) for percent in PERCENTS}


def _corners(table: Floats) -> Corners:
    return tuple(sorted((float(latency), float(rate)) for latency, rate in table))
