"""TCP and RPC side by side: the same split, on the same devices and network, in the same blocks of runs.

**Ratios** are RPC's figure over TCP's.  Runs of the same campaign and repeat lay in the same block, minutes
apart at most, so the ratio is taken pair by pair and gets the interval of repeated figures; drift that
a block's runs share is not in it.  With fewer than two pairs the interval comes from both transports'
replicates.

The **overhead** of a run with one batch in flight is what its latency holds beyond computing and the wire:
latency - the stages' compute - over all hops (the link's delay + bytes / (measured rate x 0.955), the
share that headers leave).  Framing, copies, hand-over between threads, and the transport itself are left.
"""

from __future__ import annotations

import dataclasses
import math
import re
import statistics
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.intervals import CONFIDENCE, Floats, Interval, draw_replicates, interval
from analysis.networks import wire_ms
from analysis.records import Records
from analysis.summary import RESAMPLES, Condition, Rank, RunKey, split_rank, usable
from stage_runtime.formats.row import HopFigures, StageFigures

BASE, OTHER = "tcp", "rpc"


class _Run(NamedTuple):
    """What of a run is compared; ``overhead_ms`` is None above window 1 or without stages."""

    latency_ms: float
    throughput_ips: float
    compute_ms: float
    overhead_ms: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Side:
    """One transport's medians over repeats; the overhead is None where it cannot be told."""

    runs: int
    latency_ms: float
    throughput_ips: float
    compute_ms: float
    overhead: Interval | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitPair:
    """One split with one window under both transports.

    ``pairs`` counts repeats run under both.  ``latency_ratio`` and the overheads are None above window 1, where
    batches queue.  ``crosses`` is false for a split that uses no link: its ratios should be 1.
    """

    condition: Condition
    split: str
    window: int
    crosses: bool
    pairs: int
    base: Side
    other: Side
    latency_ratio: Interval | None
    throughput_ratio: Interval
    overhead_difference: Interval | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """The splits of one (model, chain, engine, codec, batch) under both transports, over its networks."""

    condition: Condition
    splits: tuple[SplitPair, ...]

    @property
    def title(self) -> str:
        """A title for figures."""
        return f"{self.condition._replace(transport=f'{OTHER} against {BASE}').study_label()}"

    @property
    def slug(self) -> str:
        """A file name without its extension."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


def compare_transports(runs: pd.DataFrame) -> list[Comparison]:
    """Return a comparison for each study that was run over both transports, in the order run."""
    cells = _collect(runs)
    order = {condition: place for place, condition in enumerate(dict.fromkeys(cell.condition for cell in cells))}
    studies: dict[Condition, list[SplitPair]] = {}
    # within a condition runs were shuffled: their order is no reader's
    for (condition, split, window, crosses, _), by_transport in sorted(
        cells.items(), key=lambda item: (order[item[0].condition], item[0].rank, item[0].window)
    ):
        if set(by_transport) >= {BASE, OTHER}:
            pair = _pair(condition, split, window, by_transport[BASE], by_transport[OTHER], crosses=crosses)
            studies.setdefault(condition.study(), []).append(pair)
    return [Comparison(condition=condition, splits=tuple(pairs)) for condition, pairs in studies.items()]


class _Cell(NamedTuple):
    """What is compared between transports, and the place of its split among others."""

    condition: Condition
    split: str
    window: int
    crosses: bool
    rank: Rank


def _collect(runs: pd.DataFrame) -> dict[_Cell, dict[str, dict[RunKey, _Run]]]:
    """Return runs by condition (its transport left empty), split and window, then transport, then repeat."""
    good = runs[usable(runs) & runs["transport"].isin([BASE, OTHER])]
    stages = Records(good["stages"], StageFigures)
    compute = stages.sums(stages["compute_ms"])
    beyond = good["latency_ms"].to_numpy() - compute - _wire_times(good)
    told = (stages.counts > 0) & (good["window"] == 1).to_numpy()
    overheads = [value if known else None for value, known in zip(beyond.tolist(), told.tolist(), strict=True)]
    made = list(map(_Run, good["latency_ms"], good["throughput_ips"], compute.tolist(), overheads))
    groups: dict[tuple[Any, ...], list[int]] = {}
    names = [*Condition._fields, "split", "window", "cut", "devices"]
    crossed = good["hops"].map(len) > 0
    for place, key in enumerate(zip(crossed.tolist(), *(good[name].tolist() for name in names), strict=True)):
        groups.setdefault(key, []).append(place)
    keys = list(map(RunKey, good["campaign"].tolist(), good["repeat"].tolist()))
    cells: dict[_Cell, dict[str, dict[RunKey, _Run]]] = {}
    for (crosses, *values, split, window, cut, devices), places in groups.items():
        condition = Condition(*values)
        rank = split_rank(split, cut, devices)
        cell = _Cell(condition._replace(transport=""), split, window, crosses, rank)
        own = cells.setdefault(cell, {}).setdefault(condition.transport, {})
        for place in places:
            key = keys[place]
            while key in own:
                key = key._replace(place=key.place + 1)
            own[key] = made[place]
    return cells


def _wire_times(runs: pd.DataFrame) -> Floats:
    """Return for each run how long a batch is on the wire, over all its hops."""
    hops = Records(runs["hops"], HopFigures)
    links = hops.of_each(runs["link"].to_numpy())
    sides: dict[tuple[int, str, str], Mapping[str, Any]] = {}
    for link in {id(link): link for link in runs["link"]}.values():
        sides |= {(id(link), side["source"], side["target"]): side for side in link}
    ends = zip(map(id, links), hops["source"], hops["target"], strict=True)
    times = [
        0.0 if side is None else (side["in_force"].get("delay_ms") or 0.0) + wire_ms(size, side["bulk_mbit"])
        for side, size in zip(map(sides.get, ends), hops["bytes"].tolist(), strict=True)
    ]
    return hops.sums(np.array(times, dtype=np.float64))


def _pair(
    condition: Condition, split: str, window: int, base: dict[RunKey, _Run], other: dict[RunKey, _Run], *, crosses: bool
) -> SplitPair:
    shared = [key for key in base if key in other]
    name = f"{condition}/{split}/{window}"
    return SplitPair(
        condition=condition,
        split=split,
        window=window,
        crosses=crosses,
        pairs=len(shared),
        base=_side(base),
        other=_side(other),
        latency_ratio=_ratio(base, other, "latency_ms", name) if window == 1 else None,
        throughput_ratio=_ratio(base, other, "throughput_ips", name),
        overhead_difference=_difference([(base[key], other[key]) for key in shared]),
    )


def _side(runs: Mapping[RunKey, _Run]) -> Side:
    overheads = [run.overhead_ms for run in runs.values() if run.overhead_ms is not None]
    return Side(
        runs=len(runs),
        latency_ms=statistics.median(run.latency_ms for run in runs.values()),
        throughput_ips=statistics.median(run.throughput_ips for run in runs.values()),
        compute_ms=statistics.median(run.compute_ms for run in runs.values()),
        overhead=interval([[value] for value in overheads], factor=False) if overheads else None,
    )


def _ratio(base: Mapping[RunKey, _Run], other: Mapping[RunKey, _Run], figure: str, name: str) -> Interval:
    mine = {key: getattr(run, figure) for key, run in base.items()}
    theirs = {key: getattr(run, figure) for key, run in other.items()}
    shared = [theirs[key] / mine[key] for key in mine if key in theirs]
    if len(shared) > 1:
        return interval([[ratio] for ratio in shared])
    value = statistics.median(theirs.values()) / statistics.median(mine.values())
    if min(len(mine), len(theirs)) < 2:  # noqa: PLR2004 - a single run tells nothing of drift
        return Interval(value=value, low=math.nan, high=math.nan, basis="none")
    rng = np.random.default_rng(zlib.crc32(f"{name}/{figure}".encode()))
    drawn = [draw_replicates([[x] for x in side.values()], rng, RESAMPLES) for side in (theirs, mine)]
    low, high = np.quantile(drawn[0] / drawn[1], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(value=value, low=min(float(low), value), high=max(float(high), value), basis="repeats")


def _difference(pairs: Sequence[tuple[_Run, _Run]]) -> Interval | None:
    found = [
        [other.overhead_ms - base.overhead_ms]
        for base, other in pairs
        if base.overhead_ms is not None and other.overhead_ms is not None
    ]
    return interval(found, factor=False) if found else None
