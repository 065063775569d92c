"""Ratios of the contest's rows: pure arithmetic, nothing is run or drawn.

A side's figure under a network is that of its best split: the one whose median over repeats is best, chosen for each
side and figure by itself.  A ratio is taken within each repeat, whose runs lay minutes apart, and gets the interval of
repeated figures (:mod:`analysis.intervals`).  It is turned so that above 1 the first side is better: throughput
over throughput, the other's response over its own.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from analysis.intervals import Interval, interval
from bench.contest.baseline import BaselineRow
from bench.contest.sides import EAGER, ENGINE, EVERYTHING, PICKLE, RPC, UNSPLIT, side_of
from stage_runtime.formats.row import Row

Figure = Literal["throughput", "response"]
FIGURES: tuple[Figure, ...] = ("throughput", "response")
EVERY_MODEL = "geometric mean"

Repeats = dict[int, float]


class Pairing(NamedTuple):
    """Two sides to be compared; at ``one_split`` the second is taken at the first's best split, not at its own.

    Without a second side the first is set against its bound.
    """

    title: str
    first: str
    second: str = ""
    one_split: bool = False


EQUAL_NUMERICS = Pairing("eager over TCP against the pickle transport", EAGER.name, PICKLE)
EQUAL_NUMERICS_ONE_SPLIT = Pairing("the same, both at the first one's split", EAGER.name, PICKLE, one_split=True)
EVERYTHING_ON = Pairing("everything on against the pickle transport", EVERYTHING.name, PICKLE)
PAIRINGS = (
    EQUAL_NUMERICS,
    EQUAL_NUMERICS_ONE_SPLIT,
    EVERYTHING_ON,
    Pairing("TCP against RPC, both eager", EAGER.name, RPC.name),
    Pairing("eager split against eager unsplit", EAGER.name, UNSPLIT[0].name),
    *(Pairing(f"everything on against {side.name}", EVERYTHING.name, side.name) for side in UNSPLIT),
    Pairing("eager over TCP against its bound", EAGER.name),
    Pairing("best engine against its bound", ENGINE.name),
    Pairing("everything on against its bound", EVERYTHING.name),
)


class Best(NamedTuple):
    """A side's best split and its median figure (ms or images/s)."""

    split: str
    value: float


class Contrast(NamedTuple):
    """One ratio: of two sides, under a network, in a figure, for a model or over all of them.

    ``mine`` and ``theirs`` are None over all models, ``theirs`` also against the bound.
    """

    pairing: Pairing
    network: str
    figure: Figure
    model: str
    ratio: Interval
    by_repeat: Mapping[int, float]
    mine: Best | None = None
    theirs: Best | None = None


class _Place(NamedTuple):
    model: str
    network: str
    figure: Figure


class Measured:
    """What each side gave, and how near it came to its bound: by place, then side, split and repeat."""

    def __init__(self) -> None:
        self.values: dict[_Place, dict[str, dict[str, Repeats]]] = defaultdict(lambda: defaultdict(dict))
        self.efficiencies: dict[_Place, dict[str, dict[str, Repeats]]] = defaultdict(lambda: defaultdict(dict))

    @property
    def models(self) -> tuple[str, ...]:
        """The models, in the order measured."""
        return tuple(dict.fromkeys(place.model for place in self.values))

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks, in the order measured."""
        return tuple(dict.fromkeys(place.network for place in self.values))

    def best(self, place: _Place, side: str) -> Best | None:
        """Give a side's best split; None where nothing of it was measured."""
        splits = self.values[place].get(side)
        if not splits:
            return None
        medians = {split: statistics.median(repeats.values()) for split, repeats in splits.items()}
        pick = max if place.figure == "throughput" else min
        split = pick(medians, key=lambda name: medians[name])
        return Best(split, medians[split])


def collect(rows: Iterable[Row], baseline: Iterable[BaselineRow]) -> Measured:
    """Sort good rows by whose they are; of a run measured twice the later counts."""
    found = Measured()
    for row in rows:
        side = side_of(row.split, row.devices, row.transport, row.engine, row.codec)
        if row.status != "ok" or side is None:
            continue
        figure: Figure = "response" if row.window == 1 else "throughput"
        value = row.response_ms if row.window == 1 else row.throughput_ips
        efficiency = row.latency_efficiency if row.window == 1 else row.throughput_efficiency
        place = _Place(row.model, row.network, figure)
        if value:
            found.values[place][side.name].setdefault(row.split, {})[row.repeat] = value
        if efficiency:
            found.efficiencies[place][side.name].setdefault(row.split, {})[row.repeat] = efficiency
    for one in baseline:
        figure = "response" if one.one_in_flight else "throughput"
        value = one.response_ms if one.one_in_flight else one.throughput_ips
        if one.status == "ok" and value:
            place = _Place(one.model, one.network, figure)
            found.values[place][PICKLE].setdefault(one.split, {})[one.repeat] = value
    return found


def contrasts(measured: Measured, pairings: Sequence[Pairing] = PAIRINGS) -> list[Contrast]:
    """Give every ratio that the rows allow, pairing by pairing, under each network, in each figure.

    Behind the models' own comes that over all of them, where each has one: the geometric mean within each repeat that
    all models have.
    """
    found: list[Contrast] = []
    for pairing in pairings:
        for network in measured.networks:
            for figure in FIGURES:
                own = [
                    contrast
                    for model in measured.models
                    if (contrast := _contrast(measured, pairing, _Place(model, network, figure))) is not None
                ]
                found += own
                if len(own) == len(measured.models) > 1 and (over_all := _over_all(own)) is not None:
                    found.append(over_all)
    return found


def _contrast(measured: Measured, pairing: Pairing, place: _Place) -> Contrast | None:
    mine = measured.best(place, pairing.first)
    if mine is None:
        return None
    if not pairing.second:
        by_repeat = measured.efficiencies[place][pairing.first].get(mine.split, {})
        return _make(pairing, place, by_repeat, mine, None)
    splits = measured.values[place]
    theirs = measured.best(place, pairing.second)
    if pairing.one_split:
        there = splits[pairing.second].get(mine.split)
        theirs = Best(mine.split, statistics.median(there.values())) if there else None
    if theirs is None:
        return None
    near, far = splits[pairing.first][mine.split], splits[pairing.second][theirs.split]
    by_repeat = {
        repeat: near[repeat] / far[repeat] if place.figure == "throughput" else far[repeat] / near[repeat]
        for repeat in near
        if repeat in far
    }
    return _make(pairing, place, by_repeat, mine, theirs)


def _make(pairing: Pairing, place: _Place, by_repeat: Repeats, mine: Best, theirs: Best | None) -> Contrast | None:
    if not by_repeat:
        return None
    ratio = interval([[value] for value in by_repeat.values()])
    return Contrast(pairing, place.network, place.figure, place.model, ratio, by_repeat, mine, theirs)


def _over_all(own: Sequence[Contrast]) -> Contrast | None:
    shared = set.intersection(*(set(contrast.by_repeat) for contrast in own))
    by_repeat = {
        repeat: math.exp(statistics.fmean(math.log(contrast.by_repeat[repeat]) for contrast in own))
        for repeat in sorted(shared)
    }
    if not by_repeat:
        return None
    first = own[0]
    ratio = interval([[value] for value in by_repeat.values()])
    return Contrast(first.pairing, first.network, first.figure, EVERY_MODEL, ratio, by_repeat)
