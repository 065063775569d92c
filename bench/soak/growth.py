"""Whether a figure grew over a long run.

The first tenth of a run is left out: caches fill there, and memory is had that is then kept.  What is left is cut
into quarters by time; a figure grew when the median of its last quarter is above that of its first by more than what
the limit allows.  Medians, because a single pause of a busy machine is no growth.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence

_SETTLING = 0.1
_PARTS = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limit:
    """How much more a figure's last quarter may be than its first: a share of it, or an amount, whichever is more."""

    share: float
    amount: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Growth:
    """A figure of one process over the run: medians of its first and last quarter, and its greatest value."""

    who: str
    figure: str
    first: float
    last: float
    most: float
    limit: Limit

    @property
    def grew(self) -> bool:
        """Whether the last quarter is above the first beyond the limit."""
        return self.last - self.first > max(self.limit.share * self.first, self.limit.amount)


MEMORY = Limit(share=0.05, amount=4.0)  # MiB
COUNT = Limit(share=0.0, amount=1.0)  # descriptors, threads
TIME = Limit(share=0.15, amount=0.0)  # the speed of a quiet machine drifts by more within minutes


def find_growth(who: str, figure: str, values: Sequence[float], limit: Limit) -> Growth:
    """Hold the last quarter of values, in the order of time, against the first.

    Raises ValueError for fewer than forty: quarters of them say nothing.
    """
    if len(values) < 10 * _PARTS:
        raise ValueError(f"{who}, {figure}: {len(values)} values, at least {10 * _PARTS} are needed; give more cells")
    settled = values[int(len(values) * _SETTLING) :]
    part = len(settled) // _PARTS
    return Growth(
        who=who,
        figure=figure,
        first=statistics.median(settled[:part]),
        last=statistics.median(settled[-part:]),
        most=max(values),
        limit=limit,
    )
