"""The stages or hops of many runs, one after the other: what is computed of them is computed by the column."""

from __future__ import annotations

import array
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.columns import Columns, Part


class Records:
    """The records of a column of runs; figures that are not known are NaN.

    ``columns`` hold them, ``counts`` tells how many each run has, and ``begins`` where its first stands here.
    """

    def __init__(self, runs: pd.Series[Any], kind: type[msgspec.Struct]) -> None:
        given = list(runs)
        parts = [part for part in given if isinstance(part, Part)]
        if len(parts) < len(given) or any(part.columns is not parts[0].columns for part in parts):
            own = Columns(kind)
            parts = [own.extend(kind(**record) for record in part) for part in given]
        self.columns = parts[0].columns if parts else Columns(kind)
        self.counts = np.fromiter(map(len, parts), np.int64, len(parts))
        self.begins = np.cumsum(self.counts) - self.counts
        self._taken = places_of(parts)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Return a field of every record; texts and the like as objects."""
        return take(self.columns.held[name], self._taken)

    def sums(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return for each run the sum of its records' values."""
        run = self.of_each(np.arange(len(self.counts)))
        return np.bincount(run, weights=values, minlength=len(self.counts)).astype(np.float64, copy=False)

    def of_each(self, run: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return for each record what stands for its run."""
        return np.repeat(run, self.counts)


def places_of(parts: Sequence[Part]) -> npt.NDArray[np.int64]:
    """Return where in their columns the records of all these parts stand."""
    counts = np.fromiter(map(len, parts), np.int64, len(parts))
    first = np.fromiter((part.begin for part in parts), np.int64, len(parts))
    return np.arange(counts.sum()) + np.repeat(first - np.cumsum(counts) + counts, counts)


def take(values: Sequence[Any], places: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return what stands at these places: figures as such, and anything else as objects."""
    if isinstance(values, array.array):
        return np.asarray(values)[places]
    return np.fromiter(map(values.__getitem__, places.tolist()), object, len(places))


def as_column(values: Sequence[Any]) -> npt.NDArray[Any]:
    """Return figures as such, and anything else as objects."""
    return np.asarray(values) if isinstance(values, array.array) else as_objects(values)


def as_objects(values: Sequence[Any]) -> npt.NDArray[np.object_]:
    """Return values as they are: what is a sequence itself is no further dimension, and texts stay Python's own."""
    return np.fromiter(values, dtype=object, count=len(values))
