"""The interval of a figure that was measured in repeated runs, and replicates that agree with it.

The **value** is the median over runs of the median within a run.  The **interval** claims 95 %:

* With repeats it is Student's t on the logarithms of the run medians: speed drifts by a factor, and the
  factor is about as often a half as a double.  Runs are the independent unit, since the batches of one run
  share its drift.  At 2 to 10 runs it covers the truth as often as it claims, where the percentile bootstrap,
  the bootstrap-t and BCa do not: ``python -m analysis.coverage`` simulates them all.  A figure that is
  zero or negative somewhere has no logarithm: then it is t on the plain run medians.
* With a single run it is the sign test's interval of its batches' median, interpolated (Hettmansperger and
  Sheather 1986): it knows nothing of drift, and below six batches, where the range of them is all there
  is, it covers less than it claims even of the run's own median.
* A single figure has none.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, stdtrit

CONFIDENCE = 0.95
# so that a ratio of two values does not overflow; two runs alone can give draws beyond it
_LARGEST_LOG = 300.0

Basis = Literal["repeats", "batches", "none"]
Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interval:
    """A value and its 95 % interval, which contains it; the ends are NaN when ``basis`` is "none"."""

    value: float
    low: float
    high: float
    basis: Basis


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Fit:
    """Student's t fitted to run medians, on their logarithms or (where one is not positive) as they are."""

    centre: float
    error: float
    freedom: int
    logarithmic: bool

    def at(self, deviates: Floats) -> Floats:
        """Return where ``deviates`` of the t distribution lie, in the figure's unit."""
        values: Floats = self.centre + self.error * deviates
        return np.exp(values.clip(-_LARGEST_LOG, _LARGEST_LOG)) if self.logarithmic else values


def interval(runs: Sequence[Sequence[float]], *, factor: bool = True) -> Interval:
    """Return the median of ``runs`` (one sequence of batches per run, none empty) with its interval.

    ``factor`` false: the figure is a difference, which drift shifts rather than multiplies; no logarithms.
    """
    medians = _medians(runs)
    value = float(statistics.median(medians))
    if len(runs) > 1:
        tail = stdtrit(len(runs) - 1, (1 + CONFIDENCE) / 2)
        low, high = _fit(medians, factor=factor).at(np.array([-tail, tail]))
        # the centre is a mean, the value a median: with seven runs or more it could lie outside by a hair
        return Interval(value=value, low=min(float(low), value), high=max(float(high), value), basis="repeats")
    if len(runs[0]) > 1:
        low, high = _sign_test(np.sort(np.asarray(runs[0], dtype=np.float64)))
        return Interval(value=value, low=low, high=high, basis="batches")
    return Interval(value=value, low=math.nan, high=math.nan, basis="none")


def relative_half_width(runs: Sequence[Sequence[float]]) -> float:
    """Return half of the interval's width over its value; infinite for fewer than two runs."""
    found = interval(runs) if len(runs) > 1 else None
    if found is None or found.value == 0:
        return math.inf
    return (found.high - found.low) / 2 / abs(found.value)


def draw_replicates(runs: Sequence[Sequence[float]], rng: np.random.Generator, count: int) -> Floats:
    """Draw ``count`` values that the median over runs might as well have had: a parametric bootstrap.

    They follow the t distribution that the interval comes from, so that their 95 % are the interval (but
    for the hair that :func:`interval` may add).  Of a single run they are all its value: it
    cannot tell how far another would have been off.
    """
    if len(runs) == 1:
        return np.full(count, float(statistics.median(runs[0])))
    fit = _fit(_medians(runs))
    return fit.at(rng.standard_t(fit.freedom, count))


def _medians(runs: Sequence[Sequence[float]]) -> Floats:
    # numpy's median takes fifty times as long for so few values
    return np.array([run[0] if len(run) == 1 else statistics.median(run) for run in runs], dtype=np.float64)


def _fit(medians: Floats, *, factor: bool = True) -> _Fit:
    logarithmic = factor and bool((medians > 0).all())
    values = np.log(medians) if logarithmic else medians
    # what numpy's mean and std do, without the half of their time that they take to begin
    count = len(values)
    centre = np.add.reduce(values) / count
    apart = values - centre
    error = math.sqrt(np.add.reduce(apart * apart) / (count - 1)) / math.sqrt(count)
    return _Fit(centre=float(centre), error=error, freedom=count - 1, logarithmic=logarithmic)


def _sign_test(ordered: Floats) -> tuple[float, float]:
    """Return the 95 % interval of the median from sorted values, or their range where they are too few."""
    count = len(ordered)

    def confidence(rank: int) -> float:
        return 1 - 2 * float(bdtr(rank - 1, count, 0.5))

    rank = 1
    if confidence(rank) <= CONFIDENCE:
        return float(ordered[0]), float(ordered[-1])
    while confidence(rank + 1) > CONFIDENCE:
        rank += 1
    share = (confidence(rank) - CONFIDENCE) / (confidence(rank) - confidence(rank + 1))
    inwards = (count - rank) * share / (rank + (count - 2 * rank) * share)
    low = ordered[rank - 1] + inwards * (ordered[rank] - ordered[rank - 1])
    high = ordered[-rank] - inwards * (ordered[-rank] - ordered[-rank - 1])
    return float(low), float(high)
