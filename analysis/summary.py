"""From runs to points: medians over repeats, with their intervals.

Definitions
-----------
* A *point* is one split of one model under one condition (chain, network, transport, engine,
  codec, batch).
* Its **latency** comes from the runs with one batch in flight (window 1): the median over repeats
  of the median over a run's measured batches.
* Its **throughput** comes from the window above 1 with the greatest median ``throughput_ips`` over
  repeats; where nothing was run with a window above 1, from the window 1 runs.
* **Intervals** and replicates are those of :mod:`analysis.intervals`, where repeats are the independent unit.
* Its **tail** is that of all measured batches of all its window 1 runs: drift between runs is in it.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.alike import count_alike
from analysis.intervals import Basis, Floats, draw_replicates, interval
from analysis.records import Records
from stage_runtime.formats.row import StageFigures

RESAMPLES = 1000
REFERENCE_PREFIX = "only:"

Rank = tuple[bool, int, tuple[int, ...], int]


class Condition(NamedTuple):
    """What two points must share to stand on one front."""

    model: str
    granularity: str
    chain: str
    network: str
    transport: str
    engine: str
    codec: str
    batch: int

    def label(self) -> str:
        """Return a short label for a reader."""
        return f"{self.study_label()} · {self.network}"

    def study_label(self) -> str:
        """Return the label without the network."""
        parts = [self.model, self.chain, self.transport]
        parts += [value for value, usual in ((self.engine, "eager"), (self.codec, "none")) if value != usual]
        parts += ["all split points"] if self.granularity == "all" else []
        return " · ".join([*parts, f"batch {self.batch}"])

    def study(self) -> Condition:
        """Return the condition with the network left open: what one figure shows."""
        return self._replace(network="")


class RunKey(NamedTuple):
    """Which run among the repeats of a cell; ``place`` tells runs apart that share campaign and repeat."""

    campaign: str
    repeat: int
    place: int = 0


class Tail(NamedTuple):
    """The slow end of a distribution in ms, and how many batches tell of it."""

    p95: float = np.nan
    p99: float = np.nan
    batches: int = 0


_NO_TAIL = Tail()


class Near(NamedTuple):
    """What no runtime can beat and how near a point came: medians over the runs that know, NaN where none does."""

    latency_bound_ms: float = np.nan
    latency_efficiency: float = np.nan
    throughput_bound_ips: float = np.nan
    throughput_efficiency: float = np.nan


_NOT_NEAR = Near()


class _Share(NamedTuple):
    """What a stage of a run computed."""

    device: str
    blocks: int
    compute_ms: float


class _Run(NamedTuple):
    """What of a run a point is made of."""

    campaign: str
    repeat: int
    cut: tuple[int, ...]
    devices: tuple[str, ...]
    window: int
    latency_ms: float
    response_ms: float
    throughput_ips: float
    batch_latency_ms: Sequence[float]
    batch_response_ms: Sequence[float]
    latency_uncertainty_ms: float
    unstable: Sequence[str]
    latency_bound_ms: float
    latency_efficiency: float
    throughput_bound_ips: float
    throughput_efficiency: float
    shares: Sequence[_Share]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """A median with its interval, and replicates that agree with it.

    ``low`` and ``high`` are NaN when ``basis`` is "none".  ``runs`` counts repeats; ``medians`` holds
    each one's median.
    """

    value: float
    low: float
    high: float
    runs: int
    basis: Basis
    replicates: Floats = dataclasses.field(repr=False)
    medians: Mapping[RunKey, float] = dataclasses.field(default_factory=dict, repr=False)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Point:
    """One split under one condition; latency in ms (less is better), throughput in images/s.

    ``latency_uncertainty_ms`` is the median over runs of what the clock offsets leave open.  ``unstable``
    counts the runs behind the point that gave a reason not to be trusted, by reason, ``unstable_runs`` those
    with any.  ``blocks`` and ``compute_ms`` (medians, window 1) go with ``devices``.  ``near`` holds the bounds.
    """

    condition: Condition
    split: str
    cut: tuple[int, ...]
    devices: tuple[str, ...]
    latency: Estimate
    throughput: Estimate
    response_ms: float
    throughput_window: int
    latency_tail: Tail = _NO_TAIL
    response_tail: Tail = _NO_TAIL
    latency_uncertainty_ms: float = np.nan
    unstable: Mapping[str, int] = dataclasses.field(default_factory=dict)
    unstable_runs: int = 0
    blocks: tuple[int, ...] = ()
    compute_ms: tuple[float, ...] = ()
    near: Near = _NOT_NEAR

    @property
    def is_reference(self) -> bool:
        """Whether this is the unsplit model on one device."""
        return self.split.startswith(REFERENCE_PREFIX)

    @property
    def rank(self) -> Rank:
        """Its place among the splits of its condition."""
        return split_rank(self.split, self.cut, self.devices)


def estimate(runs: Mapping[RunKey, Sequence[float]], *, key: str, resamples: int = RESAMPLES) -> Estimate:
    """Return the median of ``runs`` (one sequence of batches per repeat) with its interval.

    ``key`` seeds the replicates, so that a point's do not depend on what else is analysed.
    """
    medians = {name: float(statistics.median(run)) for name, run in runs.items()}
    # of several runs only their medians count
    batches = [[median] for median in medians.values()] if len(runs) > 1 else list(runs.values())
    found = interval(batches)
    return Estimate(
        value=found.value,
        low=found.low,
        high=found.high,
        runs=len(batches),
        basis=found.basis,
        replicates=draw_replicates(batches, np.random.default_rng(zlib.crc32(key.encode())), resamples),
        medians=medians,
    )


def summarise(runs: pd.DataFrame) -> list[Point]:
    """Return one point per split and condition from the runs that are ``ok``.

    Conditions keep the order in which they were run; within one, references come first, then splits
    by their cut.  A split without a window 1 run has no latency and gives no point; see
    :func:`splits_without_latency`.
    """
    good = runs[usable(runs)]
    made = [
        _Run._make((*values, shares))
        for values, shares in zip(pick(good, _Run._fields[:-1]), _shares_of(good), strict=True)
    ]
    # by hand: grouping by pandas takes a slice of every column for every point, and seconds in all
    groups = {key: [made[place] for place in places] for key, places in by_point(good).items()}
    points = [
        _point(condition, split, group)
        for (condition, split), group in groups.items()
        if any(run.window == 1 for run in group)
    ]
    order = {condition: index for index, condition in enumerate(dict.fromkeys(p.condition for p in points))}
    return sorted(points, key=lambda p: (order[p.condition], p.rank))


def usable(runs: pd.DataFrame) -> pd.Series[bool]:
    """Tell which runs count for points: they ended ok and have figures."""
    return (runs["status"] == "ok") & runs["latency_ms"].notna() & runs["throughput_ips"].notna()


def pick(runs: pd.DataFrame, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Give the values of these columns for each run; a column may be named twice."""
    return zip(*(runs[name].tolist() for name in names), strict=True)


def by_point(runs: pd.DataFrame) -> dict[tuple[Condition, str], list[int]]:
    """Return for each point the places of its runs among these, both in the order run."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, key in enumerate(pick(runs, [*Condition._fields, "split"])):
        groups.setdefault(key, []).append(place)
    return {(Condition(*condition), split): places for (*condition, split), places in groups.items()}


def splits_without_latency(runs: pd.DataFrame) -> list[str]:
    """Return the labels of conditions and splits that were only run with a window above 1."""
    good = runs[runs["status"] == "ok"]
    lowest = good.groupby([*Condition._fields, "split"], sort=False)["window"].min()
    return [f"{Condition._make(key[:-1]).label()}: {key[-1]}" for key in lowest[lowest > 1].index]


def split_rank(split: str, cut: Sequence[int], devices: Sequence[str]) -> Rank:
    """Rank splits for display: references in the chain's order, then splits by their cut."""
    device = split.removeprefix(REFERENCE_PREFIX)
    place = devices.index(device) if device in devices else len(devices)
    return (not split.startswith(REFERENCE_PREFIX), len(cut), tuple(cut), place)


def _point(condition: Condition, split: str, runs: Sequence[_Run]) -> Point:
    single = [run for run in runs if run.window == 1]
    rates: dict[int, list[_Run]] = {}
    for run in runs:
        rates.setdefault(run.window, []).append(run)
    window = max(
        (wide for wide in rates if wide > 1),
        key=lambda wide: statistics.median(run.throughput_ips for run in rates[wide]),
        default=1,
    )
    used = single if window == 1 else [*single, *rates[window]]
    name = f"{condition}/{split}"
    blocks, compute_ms = _shares(single)
    latency = {key: list(run.batch_latency_ms) or [run.latency_ms] for key, run in _keyed(single).items()}
    throughput = {key: [run.throughput_ips] for key, run in _keyed(rates[window]).items()}
    return Point(
        condition=condition,
        split=split,
        cut=tuple(runs[0].cut),
        devices=tuple(runs[0].devices),
        latency=estimate(latency, key=f"{name}/latency"),
        throughput=estimate(throughput, key=f"{name}/throughput"),
        response_ms=statistics.median(run.response_ms for run in single),
        throughput_window=window,
        latency_tail=_tail([run.batch_latency_ms for run in single]),
        response_tail=_tail([run.batch_response_ms for run in single]),
        latency_uncertainty_ms=float(np.median([run.latency_uncertainty_ms for run in single])),
        unstable=dict(count_alike(run.unstable for run in used)),
        unstable_runs=sum(bool(run.unstable) for run in used),
        blocks=blocks,
        compute_ms=compute_ms,
        near=Near(
            latency_bound_ms=_known_median([run.latency_bound_ms for run in single]),
            latency_efficiency=_known_median([run.latency_efficiency for run in single]),
            throughput_bound_ips=_known_median([run.throughput_bound_ips for run in rates[window]]),
            throughput_efficiency=_known_median([run.throughput_efficiency for run in rates[window]]),
        ),
    )


def _known_median(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return statistics.median(known) if known else math.nan


def _keyed(runs: Sequence[_Run]) -> dict[RunKey, _Run]:
    """Name runs by campaign and repeat; cells merged into one point may have the same ones."""
    found: dict[RunKey, _Run] = {}
    for run in runs:
        key = RunKey(run.campaign, run.repeat)
        while key in found:
            key = key._replace(place=key.place + 1)
        found[key] = run
    return found


def _tail(runs: Sequence[Sequence[float]]) -> Tail:
    batches = np.concatenate([np.asarray(run, dtype=np.float64) for run in runs])
    if not len(batches):
        return Tail()
    p95, p99 = np.percentile(batches, [95, 99], overwrite_input=True)
    return Tail(float(p95), float(p99), len(batches))


def _shares_of(runs: pd.DataFrame) -> list[list[_Share]]:
    stages = Records(runs["stages"], StageFigures)
    blocks = (stages["last"] - stages["first"]).tolist()
    shares = list(map(_Share, stages["device"].tolist(), blocks, stages["compute_ms"].tolist()))
    return [
        shares[begin : begin + count]
        for begin, count in zip(stages.begins.tolist(), stages.counts.tolist(), strict=True)
    ]


def _shares(runs: Sequence[_Run]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return blocks and median compute time of each device of the chain, from runs that carry stages."""
    carrying = [run for run in runs if run.shares]
    if not carrying:
        return (), ()
    devices = carrying[0].devices
    blocks = dict.fromkeys(devices, 0) | {share.device: share.blocks for share in carrying[0].shares}
    times: dict[str, list[float]] = {device: [] for device in devices}
    for run in carrying:
        for share in run.shares:
            times[share.device].append(share.compute_ms)
    compute = (statistics.median(times[device]) if blocks[device] else 0.0 for device in devices)
    return tuple(blocks[device] for device in devices), tuple(compute)
