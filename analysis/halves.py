"""Do the intervals hold what they claim?  One half of the repeats foretells the other.

The 95 % interval of one half of a point's repeats is held against the median of the other half, both ways
round, for the halves **in time** (first against last: a trend over the sweep makes them miss) and
**interleaved** (every second repeat).  It should not cover 95 %: the other half's median is off as well.
Where both halves have ``h`` repeats whose logarithms are normal, it covers with the probability that a Student's
t of ``h - 1`` degrees lies within t(97.5 %) / sqrt(1 + h v), v being the variance of the median of h
standard normal values.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Sequence

from scipy.special import stdtr, stdtrit

from analysis.intervals import CONFIDENCE, interval
from analysis.summary import Estimate

LEAST_RUNS = 4
# h times the variance of the median of h standard normal values; it nears pi / 2
_SCALED_VARIANCE = {2: 1.0, 3: 1.3461, 4: 1.1930, 5: 1.4342, 6: 1.2882, 7: 1.4728, 8: 1.3455, 9: 1.4949, 10: 1.3832}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coverage:
    """How many of ``checks`` intervals covered the other half's median, and how many should have."""

    checks: int
    covered: int
    expected: float

    @property
    def share(self) -> float:
        """The share that covered, NaN without a check."""
        return self.covered / self.checks if self.checks else math.nan

    @property
    def expected_share(self) -> float:
        """The share that should have, NaN without a check."""
        return self.expected / self.checks if self.checks else math.nan


@dataclasses.dataclass(frozen=True, kw_only=True)
class Halves:
    """The check of many figures; ``figures`` counts those with at least :data:`LEAST_RUNS` repeats."""

    figures: int
    in_time: Coverage
    interleaved: Coverage

    @property
    def share(self) -> float:
        """The share of all intervals, of halves of either kind, that covered; NaN without a check."""
        return _add([self.in_time, self.interleaved]).share


@functools.cache
def expected_coverage(half: int) -> float:
    """Return how often the interval of ``half`` repeats covers the median of as many others."""
    spread = math.sqrt(1 + _SCALED_VARIANCE.get(half, math.pi / 2))
    bound = float(stdtrit(half - 1, (1 + CONFIDENCE) / 2)) / spread
    return 2 * float(stdtr(half - 1, bound)) - 1


@functools.lru_cache(maxsize=2**15)
def check_half(estimate: Estimate) -> Halves:
    """Check one figure's repeats, in the order run; of an odd number the middle (or last) one is left out."""
    values = list(estimate.medians.values())
    half = len(values) // 2
    if len(values) < LEAST_RUNS:
        none = Coverage(checks=0, covered=0, expected=0.0)
        return Halves(figures=0, in_time=none, interleaved=none)
    even = values[: 2 * half]
    return Halves(
        figures=1,
        in_time=_compare(values[:half], values[-half:]),
        interleaved=_compare(even[::2], even[1::2]),
    )


def check_halves(estimates: Iterable[Estimate]) -> Halves:
    """Check many figures together."""
    found = [check_half(estimate) for estimate in estimates]
    return Halves(
        figures=sum(item.figures for item in found),
        in_time=_add([item.in_time for item in found]),
        interleaved=_add([item.interleaved for item in found]),
    )


def _compare(one: Sequence[float], other: Sequence[float]) -> Coverage:
    first, second = (interval([[value] for value in half]) for half in (one, other))
    covered = (first.low <= second.value <= first.high) + (second.low <= first.value <= second.high)
    return Coverage(checks=2, covered=covered, expected=2 * expected_coverage(len(one)))


def _add(parts: Sequence[Coverage]) -> Coverage:
    return Coverage(
        checks=sum(part.checks for part in parts),
        covered=sum(part.covered for part in parts),
        expected=sum(part.expected for part in parts),
    )
