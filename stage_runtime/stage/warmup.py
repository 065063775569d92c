"""How many batches still belong to the warm-up, beyond those that were asked for."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

_SLOWER_SHARE = 0.10
_SLOWER_DEVIATIONS = 3.0
# Makes the median absolute deviation of normal noise its standard deviation.
_MAD_SCALE = 1.4826
_MOST_SHARE = 4  # one batch of so many may be discarded


def count_discarded(responses: Sequence[float], window: int = 1) -> int:
    """Give how many leading batches are still slower than the run's later half.

    Slower is above its median by more than 10 % and by more than three of its scaled median absolute
    deviations, so neither a steady run's noise nor a slow link's makes a batch one.  The first that is not
    slower ends the warm-up, and no more than a quarter of the batches is discarded: a run that is slower
    for longer does not warm up, it drifts.  Nor so many that no more than a ``window`` are left, which have no
    throughput: results come in bursts of a window.
    """
    later = responses[len(responses) // 2 :]
    middle = statistics.median(later)
    deviation = _MAD_SCALE * statistics.median(abs(one - middle) for one in later)
    limit = middle + max(_SLOWER_SHARE * middle, _SLOWER_DEVIATIONS * deviation)
    most = min(len(responses) // _MOST_SHARE, max(0, len(responses) - window - 1))
    return next((index for index in range(most) if responses[index] <= limit), most)
