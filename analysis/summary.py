"""From runs to points: medians over repeats, with bootstrap intervals.

Definitions
-----------
* A *point* is one split of one model under one condition (chain, network, transport, engine,
  codec, batch).
* Its **latency** comes from the runs with one batch in flight (window 1): the median over repeats
  of the median over a run's measured batches.
* Its **throughput** comes from the window above 1 with the greatest median ``throughput_ips`` over
  repeats; where nothing was run with a window above 1, from the window 1 runs.
* The **interval** is a percentile bootstrap in two steps: repeats are drawn with replacement, and
  within each drawn repeat its batches.  Repeats are the independent unit, because speed drifts over
  minutes and batches of one run share that drift.  With a single repeat only its batches are drawn
  (``basis`` "batches"): that interval knows nothing of drift and is too narrow.  A single figure (one
  run's throughput) has no interval.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

RESAMPLES = 1000
CONFIDENCE = 0.95
REFERENCE_PREFIX = "only:"

Basis = Literal["repeats", "batches", "none"]


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


class _Run(NamedTuple):
    """What of a run a point is made of."""

    split: str
    cut: tuple[int, ...]
    devices: tuple[str, ...]
    window: int
    latency_ms: float
    response_ms: float
    throughput_ips: float
    batch_latency_ms: Sequence[float]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """A median, its interval, and the bootstrap replicates that both come from.

    ``low`` and ``high`` are NaN when ``basis`` is "none".  ``runs`` counts repeats.
    """

    value: float
    low: float
    high: float
    runs: int
    basis: Basis
    replicates: Floats = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Point:
    """One split under one condition; latency in ms (less is better), throughput in images/s."""

    condition: Condition
    split: str
    cut: tuple[int, ...]
    devices: tuple[str, ...]
    latency: Estimate
    throughput: Estimate
    response_ms: float
    throughput_window: int

    @property
    def is_reference(self) -> bool:
        """Whether this is the unsplit model on one device."""
        return self.split.startswith(REFERENCE_PREFIX)


def bootstrap_medians(runs: Sequence[Sequence[float]], rng: np.random.Generator, resamples: int) -> Floats:
    """Draw ``resamples`` replicates of the median over runs of the median within a run.

    ``runs`` holds one sequence of batches per repeat; their lengths may differ.  The two steps are
    those of the hierarchical bootstrap (Davison and Hinkley 1997, section 3.8, strategy with
    replacement at both levels).
    """
    lengths = np.array([len(run) for run in runs])
    table = np.full((len(runs), int(lengths.max())), np.nan)
    for row, run in zip(table, runs, strict=True):
        row[: len(run)] = run
    drawn_run = rng.integers(len(runs), size=(resamples, len(runs)))
    length = lengths[drawn_run][..., np.newaxis]
    drawn_batch = (rng.random((*drawn_run.shape, table.shape[1])) * length).astype(np.intp)
    values = table[drawn_run[..., np.newaxis], drawn_batch]
    # a shorter run is resampled to its own length; sorting puts the NaN behind the rest
    values[np.arange(table.shape[1]) >= length] = np.nan
    values.sort(axis=-1)
    middle = np.concatenate([(length - 1) // 2, length // 2], axis=-1)
    within: Floats = np.take_along_axis(values, middle, axis=-1).mean(axis=-1)
    return np.asarray(np.median(within, axis=1), dtype=np.float64)


def estimate(runs: Sequence[Sequence[float]], *, key: str, resamples: int = RESAMPLES) -> Estimate:
    """Return the median of ``runs`` (one sequence of batches per repeat) with its interval.

    ``key`` seeds the bootstrap, so that a point's interval does not depend on what else is analysed.
    """
    value = float(np.median([np.median(run) for run in runs]))
    many = len(runs) > 1
    basis: Basis = "repeats" if many else "batches" if len(runs[0]) > 1 else "none"
    if basis == "none":
        constant = np.full(resamples, value)
        return Estimate(value=value, low=np.nan, high=np.nan, runs=1, basis=basis, replicates=constant)
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    replicates = bootstrap_medians(runs, rng, resamples)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail])
    return Estimate(value=value, low=float(low), high=float(high), runs=len(runs), basis=basis, replicates=replicates)


def summarise(runs: pd.DataFrame) -> list[Point]:
    """Return one point per split and condition from the runs that are ``ok``.

    Conditions keep the order in which they were run; within one, references come first, then splits
    by their cut.  A split without a window 1 run has no latency and gives no point; see
    :func:`splits_without_latency`.
    """
    usable = (runs["status"] == "ok") & runs["latency_ms"].notna() & runs["throughput_ips"].notna()
    good = runs.loc[usable, [*Condition._fields, *_Run._fields]]
    groups: dict[tuple[Condition, str], list[_Run]] = {}
    # plain tuples: grouping by pandas takes a slice of every column for every point, and seconds in all
    for values in good.itertuples(index=False, name=None):
        condition, run = Condition._make(values[: len(Condition._fields)]), _Run._make(values[len(Condition._fields) :])
        groups.setdefault((condition, run.split), []).append(run)
    points = [
        _point(condition, split, group)
        for (condition, split), group in groups.items()
        if any(run.window == 1 for run in group)
    ]
    order = {condition: index for index, condition in enumerate(dict.fromkeys(p.condition for p in points))}
    return sorted(points, key=lambda p: (order[p.condition], split_rank(p)))


def splits_without_latency(runs: pd.DataFrame) -> list[str]:
    """Return the labels of conditions and splits that were only run with a window above 1."""
    good = runs[runs["status"] == "ok"]
    lowest = good.groupby([*Condition._fields, "split"], sort=False)["window"].min()
    return [f"{Condition._make(key[:-1]).label()}: {key[-1]}" for key in lowest[lowest > 1].index]


def split_rank(point: Point) -> tuple[int | tuple[int, ...], ...]:
    """Rank points for display: references in the chain's order, then splits by their cut."""
    device = point.split.removeprefix(REFERENCE_PREFIX)
    place = point.devices.index(device) if device in point.devices else len(point.devices)
    return (not point.is_reference, len(point.cut), point.cut, place)


def _point(condition: Condition, split: str, runs: Sequence[_Run]) -> Point:
    single = [run for run in runs if run.window == 1]
    rates: dict[int, list[float]] = {}
    for run in runs:
        rates.setdefault(run.window, []).append(run.throughput_ips)
    window = max((wide for wide in rates if wide > 1), key=lambda wide: np.median(rates[wide]), default=1)
    name = f"{condition}/{split}"
    return Point(
        condition=condition,
        split=split,
        cut=tuple(runs[0].cut),
        devices=tuple(runs[0].devices),
        latency=estimate([list(run.batch_latency_ms) or [run.latency_ms] for run in single], key=f"{name}/latency"),
        throughput=estimate([[rate] for rate in rates[window]], key=f"{name}/throughput"),
        response_ms=float(np.median([run.response_ms for run in single])),
        throughput_window=window,
    )
