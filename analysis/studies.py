"""What one set of figures shows: the fronts that differ in nothing but the network."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TypeVar

import pandas as pd

from analysis.attainment import Attainment, attain
from analysis.bounds import Nearness, find_nearness
from analysis.breakdown import Breakdown, break_down
from analysis.fronts import Front
from analysis.moves import Moves, follow
from analysis.networks import carry_times
from analysis.recommend import Robust, find_robust
from analysis.summary import Condition, Point

MOST_SPLITS = 48

Item = TypeVar("Item", Nearness, Breakdown)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """The fronts of one (model, chain, transport, engine, codec, batch), one per network.

    ``splits`` are those drawn, references first; where there are more than
    :data:`MOST_SPLITS`, the ones that do best under some network stay and ``left_out`` counts the rest.
    ``nearness`` holds every split, drawn or not.
    ``attainments`` go with the fronts that were repeated often enough, ``moves`` is None and ``robust`` empty
    for a single network.
    """

    condition: Condition
    fronts: tuple[Front, ...]
    breakdowns: tuple[Breakdown, ...]
    splits: tuple[str, ...]
    left_out: int
    nearness: tuple[Nearness, ...]
    attainments: tuple[Attainment, ...]
    moves: Moves | None
    robust: tuple[Robust, ...]

    @property
    def devices(self) -> tuple[str, ...]:
        """The chain's devices in order."""
        return self.fronts[0].points[0].devices

    @property
    def title(self) -> str:
        """A title for figures."""
        return f"{self.condition.study_label()}  ({' → '.join(self.devices)})"

    @property
    def slug(self) -> str:
        """A file name without its extension."""
        return re.sub(r"[^a-z0-9]+", "-", self.condition.study_label().lower()).strip("-")


def find_studies(fronts: Sequence[Front], runs: pd.DataFrame, limit: float | None = None) -> list[Study]:
    """Group fronts into studies, in their order; ``limit`` is the latency up to which hypervolumes count."""
    groups: dict[Condition, list[Front]] = {}
    for front in fronts:
        groups.setdefault(front.condition.study(), []).append(front)
    carry = carry_times(runs)
    # both go through all runs, so once for all studies
    nearness = _by_study(find_nearness(runs, [point for front in fronts for point in front.points]))
    shown = {condition: _choose(group) for condition, group in groups.items()}
    drawn = [point for front in fronts for point in front.points if point.split in shown[front.condition.study()]]
    breakdowns = _by_study(break_down(runs, drawn))
    return [
        _study(
            condition,
            group,
            chosen=shown[condition],
            breakdowns=tuple(breakdowns.get(condition, ())),
            nearness=tuple(nearness.get(condition, ())),
            carry=carry,
            limit=limit,
        )
        for condition, group in groups.items()
    ]


def _by_study(items: Sequence[Item]) -> dict[Condition, list[Item]]:
    found: dict[Condition, list[Item]] = {}
    for item in items:
        found.setdefault(item.condition.study(), []).append(item)
    return found


def _study(
    condition: Condition,
    fronts: list[Front],
    *,
    chosen: AbstractSet[str],
    breakdowns: tuple[Breakdown, ...],
    nearness: tuple[Nearness, ...],
    carry: Mapping[tuple[str, str], float],
    limit: float | None,
) -> Study:
    points = [point for front in fronts for point in front.points]
    ordered = dict.fromkeys(point.split for point in sorted(points, key=lambda point: point.rank))
    return Study(
        condition=condition,
        fronts=tuple(fronts),
        breakdowns=breakdowns,
        splits=tuple(split for split in ordered if split in chosen),
        left_out=len(ordered) - len(chosen),
        nearness=nearness,
        attainments=tuple(found for front in fronts if (found := attain(front)) is not None),
        moves=follow(condition, fronts, carry, limit) if len(fronts) > 1 else None,
        robust=find_robust(fronts),
    )


def _choose(fronts: Sequence[Front]) -> set[str]:
    """Choose the splits to draw: references and front points first, then by their best rank anywhere."""
    rank: dict[str, float] = {}

    def offer(points: Sequence[Point], penalty: float) -> None:
        for place, point in enumerate(points):
            rank[point.split] = min(rank.get(point.split, float("inf")), place + penalty)

    for front in fronts:
        offer(front.references, -2 * len(front.points))
        offer(front.front_points, -len(front.points))
        offer(front.front_points[::-1], -len(front.points))
        offer(sorted(front.points, key=lambda point: point.latency.value), 0)
        offer(sorted(front.points, key=lambda point: -point.throughput.value), 0)
    return set(sorted(rank, key=lambda split: rank[split])[:MOST_SPLITS])
