"""How much of a model's computing lies before each split, and in each block.

Measured on the first device alone: the time its part takes there, over the time the unsplit model takes
there, so that the speed of the other devices does not come into it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.intervals import Floats
from analysis.summary import REFERENCE_PREFIX


def first_device_times(runs: pd.DataFrame) -> dict[tuple[int, ...], list[float]]:
    """Return the first device's compute times in ms by cut, in the order run; the unsplit model's under ``()``.

    ``runs`` are those of one model, one chain and one batch size; those with window 1 that ended ok count.
    """
    times: dict[tuple[int, ...], list[float]] = {}
    good = runs[(runs["status"] == "ok") & (runs["window"] == 1)]
    columns = ["cut", "split", "devices", "stages"]
    for cut, split, devices, stages in good[columns].itertuples(index=False, name=None):
        alone = split == f"{REFERENCE_PREFIX}{devices[0]}"
        if stages and (cut or alone) and stages[0]["device"] == devices[0]:
            times.setdefault(cut, []).append(stages[0]["compute_ms"])
    return times


def work_shares(times: Mapping[tuple[int, ...], Sequence[float]]) -> dict[tuple[int, ...], float]:
    """Return the share of the model's computing before each cut of two stages; empty without the unsplit model."""
    if () not in times:
        return {}
    whole = float(np.median(times[()]))
    return {cut: min(1.0, float(np.median(found)) / whole) for cut, found in times.items() if len(cut) == 1}


def block_count(runs: pd.DataFrame) -> int:
    """Return how many blocks the model of these runs has, as far as their stages tell."""
    return max((stage["last"] for stages in runs["stages"] for stage in stages), default=0)


def block_passes(times: Mapping[tuple[int, ...], Sequence[float]], blocks: int) -> Floats:
    """Return the time of each block (passes x blocks) as differences between neighbouring splits.

    The i-th run of each split makes the i-th pass.  A difference may be negative where noise exceeds a
    block's time.  There are no passes unless every split of the model's ``blocks`` and the unsplit model were run.
    """
    needed: list[tuple[int, ...]] = [*((point,) for point in range(1, blocks)), ()]
    if any(cut not in times for cut in needed):
        return np.empty((0, 0))
    columns = [times[cut] for cut in needed]
    passes = min(len(column) for column in columns)
    table = np.array([column[:passes] for column in columns]).T
    return np.diff(table, axis=1, prepend=0.0)
