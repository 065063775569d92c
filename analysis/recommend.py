"""Which split to choose when the network is not known beforehand: the one of least maximal regret.

The **regret** of a split under a network is how many times worse it is there than that network's best point, in
latency (its own over the least) or in throughput (the most over its own); 1 is the best itself.  Its
*maximal* regret is the worst over the study's networks.  A robust split has the least maximal regret: in latency,
in throughput, or in both, where under each network the worse of the two counts (Savage 1951, "The theory
of statistical decision").  References take part; splits that lack a network do not.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from analysis.fronts import Front, Objective
from analysis.intervals import Floats
from analysis.summary import Point

Goal = Literal["latency", "throughput", "both"]
GOALS: tuple[Goal, ...] = ("latency", "throughput", "both")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Robust:
    """The split of least maximal regret for one goal.

    ``latency_regret`` and ``throughput_regret`` are its greatest in either, with the network where;
    ``regret`` is the goal's.  ``probability`` is the share of replicates in which no split has less;
    NaN where any point was run once.
    """

    goal: Goal
    split: str
    regret: float
    network: str
    latency_regret: float
    latency_network: str
    throughput_regret: float
    throughput_network: str
    probability: float


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Regrets:
    """Regret of every split that was measured under every network: splits x networks."""

    splits: tuple[str, ...]
    networks: tuple[str, ...]
    latency: Floats
    throughput: Floats

    def worst(self, goal: Goal) -> Floats:
        """Return the goal's regret, splits x networks."""
        if goal == "both":
            return np.maximum(self.latency, self.throughput)
        return self.latency if goal == "latency" else self.throughput


def regrets(fronts: Sequence[Front]) -> Regrets:
    """Return the regrets of the splits that all fronts of a study have a point of."""
    splits = _candidates(fronts)
    return Regrets(
        splits=splits,
        networks=tuple(front.condition.network for front in fronts),
        latency=_table(fronts, splits, "latency"),
        throughput=_table(fronts, splits, "throughput"),
    )


def find_robust(fronts: Sequence[Front]) -> tuple[Robust, ...]:
    """Return the robust split of each goal; none for a single network, or where no split has them all."""
    found = regrets(fronts)
    if len(fronts) < 2 or not found.splits:  # noqa: PLR2004 - one network leaves nothing to be robust against
        return ()
    shares = _probabilities(fronts, found.splits)
    return tuple(_choose(goal, found, shares[goal]) for goal in GOALS)


def _choose(goal: Goal, found: Regrets, shares: Floats) -> Robust:
    table = found.worst(goal)
    chosen = int(table.max(axis=1).argmin())
    places = {name: int(found.worst(name)[chosen].argmax()) for name in GOALS}
    return Robust(
        goal=goal,
        split=found.splits[chosen],
        regret=float(table[chosen].max()),
        network=found.networks[places[goal]],
        latency_regret=float(found.latency[chosen].max()),
        latency_network=found.networks[places["latency"]],
        throughput_regret=float(found.throughput[chosen].max()),
        throughput_network=found.networks[places["throughput"]],
        probability=float(shares[chosen]),
    )


def _candidates(fronts: Sequence[Front]) -> tuple[str, ...]:
    everywhere = set.intersection(*({point.split for point in front.points} for front in fronts))
    return tuple(point.split for point in fronts[0].points if point.split in everywhere)


def _table(fronts: Sequence[Front], splits: Sequence[str], objective: Objective) -> Floats:
    columns = []
    for front in fronts:
        points = {point.split: point for point in front.points}
        if objective == "latency":
            least = min(point.latency.value for point in front.points)
            columns.append([points[split].latency.value / least for split in splits])
        else:
            most = max(point.throughput.value for point in front.points)
            columns.append([most / points[split].throughput.value for split in splits])
    return np.array(columns).T.reshape(len(splits), len(fronts))


def _probabilities(fronts: Sequence[Front], splits: Sequence[str]) -> dict[Goal, Floats]:
    """Return per goal how often each split has the least maximal regret, points drawn anew."""
    points = [point for front in fronts for point in front.points]
    if any(min(point.latency.runs, point.throughput.runs) <= 1 for point in points):
        return {goal: np.full(len(splits), math.nan) for goal in GOALS}
    latency = np.stack([_replicate_regrets(front.points, splits, "latency") for front in fronts])
    throughput = np.stack([_replicate_regrets(front.points, splits, "throughput") for front in fronts])
    tables = {"latency": latency, "throughput": throughput, "both": np.maximum(latency, throughput)}
    winners = {goal: tables[goal].max(axis=0).argmin(axis=0) for goal in GOALS}
    return {goal: np.bincount(winners[goal], minlength=len(splits)) / len(winners[goal]) for goal in GOALS}


def _replicate_regrets(points: Sequence[Point], splits: Sequence[str], objective: Objective) -> Floats:
    """Return splits x replicates."""
    if objective == "latency":
        drawn = {point.split: point.latency.replicates for point in points}
        least = np.min(list(drawn.values()), axis=0)
        return np.stack([drawn[split] / least for split in splits])
    drawn = {point.split: point.throughput.replicates for point in points}
    most = np.max(list(drawn.values()), axis=0)
    return np.stack([most / drawn[split] for split in splits])
