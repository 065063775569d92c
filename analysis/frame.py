"""Rows to tidy tables: one row per run, and one row per run and stage."""

from __future__ import annotations

import array
import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.columns import Columns, Part, Pool
from analysis.journal import Journal
from stage_runtime.formats.row import StageFigures

_CONTEXT = ("campaign", "model", "chain", "network", "transport", "batch", "window", "split", "repeat")


def runs_frame(journal: Journal) -> pd.DataFrame:
    """Return one row per run, with the fields of ``Row`` as columns in their order.

    ``journal``, ``line`` and ``superseded`` come behind.  ``stages`` and ``hops`` hold sequences of mappings, ``link``
    lists of dictionaries that runs share.
    """
    columns = {name: _column(journal.rows.held[name]) for name in journal.rows.names}
    columns |= {"journal": _column(journal.journals), "line": _column(journal.lines)}
    frame = pd.DataFrame(columns | {"superseded": np.array(journal.superseded, dtype=bool)})
    frame.attrs["notes"] = list(journal.notes)
    return frame


def plain_frame(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with plain lists and dictionaries of their own, and pandas' own texts: for a notebook."""
    plain = runs.copy(deep=False)
    for name in ("stages", "hops"):
        plain[name] = _objects([[dict(record) for record in records] for records in runs[name]])
    plain["link"] = _objects([copy.deepcopy(link) for link in runs["link"]])
    for name in ("batch_latency_ms", "batch_response_ms", "warmup_response_ms"):
        plain[name] = _objects([list(values) for values in runs[name]])
    plain.attrs = runs.attrs
    return plain.infer_objects()


def stages_frame(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run and stage: what names the run, and the stage's own figures."""
    if not any(map(len, runs["stages"])):
        return pd.DataFrame()
    columns, taken, counts = _gather(runs["stages"])
    context = {name: np.repeat(runs[name].to_numpy(), counts) for name in _CONTEXT}
    return pd.DataFrame(context | {name: _column(columns.held[name])[taken] for name in columns.names})


def _gather(runs: pd.Series[Any]) -> tuple[Columns, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the columns that hold the stages of all runs, where in them each stands, and how many each run has."""
    given = list(runs)
    parts = [part for part in given if isinstance(part, Part)]
    if len(parts) < len(given) or any(part.columns is not parts[0].columns for part in parts):
        columns = Columns(StageFigures, Pool())
        parts = [columns.extend(StageFigures(**stage) for stage in part) for part in given]
    counts = np.array([len(part) for part in parts], dtype=np.int64)
    begins = np.array([part.begin for part in parts], dtype=np.int64)
    before = np.cumsum(counts) - counts
    return parts[0].columns, np.arange(counts.sum()) + np.repeat(begins - before, counts), counts


def _column(values: Sequence[Any]) -> npt.NDArray[Any]:
    return np.array(values) if isinstance(values, array.array) else _objects(values)


def _objects(values: Sequence[Any]) -> npt.NDArray[np.object_]:
    """Return values as they are: what is a sequence itself is no further dimension, and texts stay Python's own."""
    return np.fromiter(values, dtype=object, count=len(values))
