"""Redraw a campaign: what each point might have measured on another day.

Claims about fronts compare sets of points, so their noise is that of all points at once.  A few repeats tell
little of a single point's spread; hence the **run-to-run spread** is pooled: the standard deviation of the
logarithm of a run's figure about its cell's mean, over all cells of a condition (of all networks of the study where
that condition alone has too few repeats).  A **replicate** redraws every point of a campaign: the median of as many
runs as the point has, log-normal about its measured value with the pooled spread, which is itself redrawn from
its chi-square.
"""

from __future__ import annotations

import dataclasses
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.fronts import Objective
from analysis.intervals import Floats
from analysis.summary import REFERENCE_PREFIX, Condition, Point, summarise

Booleans = npt.NDArray[np.bool_]

REPLICATES = 1000
LEAST_FREEDOM = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spread:
    """The pooled run-to-run spread of a logarithm, and the degrees of freedom it stands on."""

    sigma: float
    freedom: int


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Draws:
    """Figures of a condition's points, and which are on the front (each replicates x points)."""

    ensemble: Ensemble
    latency_ms: Floats
    throughput_ips: Floats

    @property
    def members(self) -> Booleans:
        """Which points of each replicate no other point of that replicate beats."""
        return non_dominated(self.latency_ms, self.throughput_ips)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Ensemble:
    """One condition's points and their replicates (replicates x points); None where no spread is known.

    ``latency_ms`` and ``throughput_ips`` are the measured values.  ``splits`` name references by their place
    in the chain (``only:first``, ``only:last``), so that chains can be compared.
    """

    condition: Condition
    splits: tuple[str, ...]
    cuts: tuple[tuple[int, ...], ...]
    latency_ms: Floats
    throughput_ips: Floats
    latency_draws: Floats | None
    throughput_draws: Floats | None

    @property
    def known(self) -> bool:
        """Whether the run-to-run spread, and so the noise, is known."""
        return self.latency_draws is not None and self.throughput_draws is not None

    @property
    def is_split(self) -> Booleans:
        """Which points are splits, not references."""
        return np.array([not split.startswith(REFERENCE_PREFIX) for split in self.splits], dtype=np.bool_)

    def only(self, keep: Booleans) -> Ensemble:
        """Return the ensemble of some of the points."""
        return dataclasses.replace(
            self,
            splits=tuple(split for split, kept in zip(self.splits, keep, strict=True) if kept),
            cuts=tuple(cut for cut, kept in zip(self.cuts, keep, strict=True) if kept),
            latency_ms=self.latency_ms[keep],
            throughput_ips=self.throughput_ips[keep],
            latency_draws=None if self.latency_draws is None else self.latency_draws[:, keep],
            throughput_draws=None if self.throughput_draws is None else self.throughput_draws[:, keep],
        )

    def measured(self) -> Draws:
        """Return the measured figures, as a single replicate."""
        return Draws(
            ensemble=self, latency_ms=self.latency_ms[np.newaxis], throughput_ips=self.throughput_ips[np.newaxis]
        )

    def redrawn(self) -> Draws:
        """Return the replicates; the spread must be known."""
        if self.latency_draws is None or self.throughput_draws is None:
            raise ValueError(f"{self.condition.label()}: its run-to-run spread is not known")
        return Draws(ensemble=self, latency_ms=self.latency_draws, throughput_ips=self.throughput_draws)

    def redrawn_twice(self, turn: int) -> Draws:
        """Return replicates with the noise of two campaigns; those of turns two apart are independent.

        A replicate is as far from the truth as the campaign's own noise and the redrawn one together, which is
        what two measured campaigns must be compared with to be told apart.
        """
        once = self.redrawn()
        latency, throughput = (
            np.roll(draws, turn, axis=0) * np.roll(draws, turn + 1, axis=0) / value
            for draws, value in ((once.latency_ms, self.latency_ms), (once.throughput_ips, self.throughput_ips))
        )
        return Draws(ensemble=self, latency_ms=latency, throughput_ips=throughput)


def redraw(runs: pd.DataFrame) -> list[Ensemble]:
    """Return an ensemble per condition of the runs that ended ok, in their order."""
    groups: dict[Condition, list[Point]] = {}
    for point in summarise(runs):
        groups.setdefault(point.condition, []).append(point)
    spreads = {objective: pooled_spreads(runs, groups, objective) for objective in ("latency", "throughput")}
    return [
        _ensemble(condition, points, spreads["latency"][condition], spreads["throughput"][condition])
        for condition, points in groups.items()
    ]


def pooled_spreads(
    runs: pd.DataFrame, groups: Mapping[Condition, Sequence[Point]], objective: Objective
) -> dict[Condition, Spread | None]:
    """Return the spread of each condition: its own, else that of its study, else None."""
    good = runs[(runs["status"] == "ok") & runs["latency_ms"].notna() & runs["throughput_ips"].notna()]
    figure = "latency_ms" if objective == "latency" else "throughput_ips"
    windows = {
        (condition, point.split): 1 if objective == "latency" else point.throughput_window
        for condition, points in groups.items()
        for point in points
    }
    cells: dict[tuple[Condition, str], list[float]] = {}
    columns = [*Condition._fields, "split", "window", figure]
    for *key, split, window, value in good[columns].itertuples(index=False, name=None):
        condition = Condition._make(key)
        if windows.get((condition, split)) == window and value > 0:
            cells.setdefault((condition, split), []).append(math.log(value))
    own: dict[Condition, list[list[float]]] = {}
    study: dict[Condition, list[list[float]]] = {}
    for (condition, _), logs in cells.items():
        own.setdefault(condition, []).append(logs)
        study.setdefault(condition.study(), []).append(logs)
    return {condition: pool(own.get(condition, [])) or pool(study.get(condition.study(), [])) for condition in groups}


def pool(cells: Iterable[Sequence[float]]) -> Spread | None:
    """Pool the spread within cells; None below :data:`LEAST_FREEDOM` degrees of freedom."""
    squares, freedom = 0.0, 0
    for logs in cells:
        mean = sum(logs) / len(logs)
        squares += sum((value - mean) ** 2 for value in logs)
        freedom += len(logs) - 1
    return Spread(sigma=math.sqrt(squares / freedom), freedom=freedom) if freedom >= LEAST_FREEDOM else None


def _ensemble(condition: Condition, points: Sequence[Point], latency: Spread | None, rate: Spread | None) -> Ensemble:
    return Ensemble(
        condition=condition,
        splits=tuple(_label(point) for point in points),
        cuts=tuple(point.cut for point in points),
        latency_ms=np.array([point.latency.value for point in points]),
        throughput_ips=np.array([point.throughput.value for point in points]),
        latency_draws=_draws(points, latency, "latency"),
        throughput_draws=_draws(points, rate, "throughput"),
    )


def _label(point: Point) -> str:
    """Name a split; a reference by its device's place, if that is an end of the chain."""
    if not point.is_reference:
        return point.split
    device = point.split.removeprefix(REFERENCE_PREFIX)
    ends = {point.devices[-1]: "last", point.devices[0]: "first"}
    return REFERENCE_PREFIX + ends.get(device, device)


def _draws(points: Sequence[Point], spread: Spread | None, objective: Objective) -> Floats | None:
    if spread is None:
        return None
    columns = []
    for point in points:
        found = point.latency if objective == "latency" else point.throughput
        rng = np.random.default_rng(zlib.crc32(f"{point.condition}/{point.split}/{objective}".encode()))
        sigma = spread.sigma * np.sqrt(spread.freedom / rng.chisquare(spread.freedom, size=REPLICATES))
        middle = np.median(rng.standard_normal((REPLICATES, found.runs)), axis=1)
        columns.append(found.value * np.exp(sigma * middle))
    return np.stack(columns, axis=1)


def non_dominated(latency: Floats, throughput: Floats) -> Booleans:
    """Return which points of each row no other point of that row beats.

    All pairs at once: a call of moocore for each of a thousand replicates takes ten times as long.
    """
    no_later = latency[:, :, np.newaxis] <= latency[:, np.newaxis]
    no_less = throughput[:, :, np.newaxis] >= throughput[:, np.newaxis]
    # of two points that are no worse than each other neither is better
    beats = no_later & no_less & ~(no_later & no_less).transpose(0, 2, 1)
    return np.logical_not(beats.any(axis=1))
