"""Which split of the index map a printed number means, and what the printed network times are worth."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from analysis.conclusion import TIMES
from analysis.reproduction.counterpart import Comparison
from analysis.reproduction.published import LINK_MBIT, ROWS, PublishedRow


@dataclasses.dataclass(frozen=True, kw_only=True)
class Numbering:
    """How far each reading of a model's printed numbers is from the printed shares (mean over rows)."""

    model: str
    distances: dict[int, float]
    readings: tuple[str, ...]

    @property
    def shift(self) -> int:
        """What is to be added to a printed number."""
        return min(self.distances, key=lambda shift: self.distances[shift])

    @property
    def sentence(self) -> str:
        """Say which reading fits."""
        means = "the same split here" if self.shift == 0 else f"P<k+{self.shift}> of the index map"
        return (
            f"{self.model}: a printed P<k> fits {means} best ({'; '.join(self.readings)}; mean distance "
            + ", ".join(f"{value:.3f} for k+{shift}" for shift, value in self.distances.items())
            + ")."
        )


def find_numberings(comparisons: Sequence[Comparison]) -> list[Numbering]:
    """Judge every model with more than one candidate by the shares measured; all its rows must have all."""
    found = []
    for model in dict.fromkeys(item.published.model for item in comparisons):
        own = [item for item in comparisons if item.published.model == model]
        doubtful = len(own[0].published.candidates) > 1
        if not doubtful or any(len(item.measured) != len(item.published.candidates) for item in own):
            continue
        shifts = range(len(own[0].published.candidates))
        distances = {
            shift: float(np.mean([abs(i.measured[shift].share.value - i.published.front_share) for i in own]))
            for shift in shifts
        }
        readings = [
            f"{item.published.split} printed {item.published.front_share:.3f}, measured "
            + ", ".join(f"{one.candidate.split} {one.share.value:.3f}" for one in item.measured)
            for item in own
        ]
        found.append(Numbering(model=model, distances=distances, readings=tuple(readings)))
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrintedNetworkTimes:
    """What the printed network times have to do with the bytes that crossed."""

    rank_correlation: float
    most_bytes_over_least: float
    longest_over_shortest: float
    above_line_rate: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """Say what they are worth."""
        return (
            f"The printed network times differ by {self.longest_over_shortest:.1f}{TIMES}, the bytes behind them by "
            f"{self.most_bytes_over_least:.0f}{TIMES} (rank correlation {self.rank_correlation:+.2f}); in "
            f"{len(self.above_line_rate)} rows ({', '.join(self.above_line_rate)}) the implied rate is above gigabit "
            "Ethernet's line rate. They cannot be times that the tensors took on the wire."
        )


def printed_network_times(rows: Sequence[PublishedRow] = ROWS) -> PrintedNetworkTimes:
    """Hold the printed network times against the bytes of each row's likelier candidate (the last)."""
    sizes = np.array([row.candidates[-1].batch_bytes for row in rows], dtype=np.float64)
    times = np.array([row.network_s for row in rows])
    return PrintedNetworkTimes(
        rank_correlation=float(np.corrcoef(_ranks(sizes), _ranks(times))[0, 1]),
        most_bytes_over_least=float(sizes.max() / sizes.min()),
        longest_over_shortest=float(times.max() / times.min()),
        above_line_rate=tuple(
            f"{row.model} {row.split}" for row in rows if row.implied_mbit(row.candidates[-1]) > LINK_MBIT
        ),
    )


def _ranks(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return ranks, equal values sharing their mean rank."""
    unique, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse] if len(unique) else values
