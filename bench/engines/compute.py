"""Ratios of the rounds: how many times as fast an engine is as plain PyTorch, in the same round."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from analysis.intervals import Interval, interval
from bench.engines.measure import Round
from bench.engines.orders import CONTESTANTS, EAGER, PLAIN

RIVALS = (EAGER.name, PLAIN.name)
"""Whom every contestant is held against: plain PyTorch as a stage runs it, and as it comes."""


class Speed(NamedTuple):
    """A contestant's time for a batch, in ms (the median of its rounds' medians), and how much faster it is.

    ``against`` holds the ratio to each contestant that it is held against, by name: that one's time over this one's,
    paired by rounds.
    """

    model: str
    batch: int
    contestant: str
    ms: float
    against: dict[str, Interval]


def speeds(rounds: Iterable[Round]) -> list[Speed]:
    """Give every contestant's speed for every model and batch size, in the order measured."""
    found = []
    for (model, batch), times_of in _medians(one for one in rounds if not one.beside).items():
        for contestant in (one.name for one in CONTESTANTS if one.name in times_of):
            mine = times_of[contestant]
            against = {
                rival: interval([[times_of[rival][number] / mine[number]] for number in mine])
                for rival in RIVALS
                if rival in times_of and rival != contestant
            }
            found.append(Speed(model, batch, contestant, statistics.median(mine.values()), against))
    return found


class Slowing(NamedTuple):
    """How many times as long a contestant's batches take while the same engine computes on another core."""

    model: str
    batch: int
    contestant: str
    ratio: Interval


def slowings(rounds: Sequence[Round]) -> list[Slowing]:
    """Give what a neighbour costs each contestant that had one, paired by rounds, in the order measured."""
    alone, beside = (_medians(one for one in rounds if one.beside is wanted) for wanted in (False, True))
    return [
        Slowing(*case, name, interval([[ms / alone[case][name][number]] for number, ms in times.items()]))
        for case, times_of in beside.items()
        for name, times in times_of.items()
    ]


def _medians(rounds: Iterable[Round]) -> dict[tuple[str, int], dict[str, dict[int, float]]]:
    """Give the median time of each round, in ms, by (model, batch), contestant and number."""
    found: dict[tuple[str, int], dict[str, dict[int, float]]] = {}
    for one in rounds:
        times = found.setdefault((one.model, one.batch), {}).setdefault(one.contestant, {})
        times[one.number] = statistics.median(one.ms)
    return found


def geometric_mean(found: Iterable[Speed], contestant: str, batch: int, rival: str) -> float:
    """Give the geometric mean over the models of one contestant's ratio to another; NaN where there is none."""
    ratios = [
        one.against[rival].value
        for one in found
        if (one.contestant, one.batch) == (contestant, batch) and rival in one.against
    ]
    return statistics.geometric_mean(ratios) if ratios else math.nan
