"""Rows to tidy tables: one row per run, and one row per run and stage."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.journal import FLOATS, RECORDS, Journal
from analysis.records import Records, as_column, as_objects
from stage_runtime.formats.row import StageFigures

# what names a run in a table of its stages
CONTEXT = ("campaign", "model", "chain", "network", "transport", "batch", "window", "split", "repeat")


def runs_frame(journal: Journal) -> pd.DataFrame:
    """Return one row per run, with the fields of ``Row`` as columns in their order.

    ``journal``, ``line`` and ``superseded`` come behind.  ``stages`` and ``hops`` hold sequences of mappings, ``link``
    lists of dictionaries that runs share.
    """
    columns = {name: as_column(journal.rows.held[name]) for name in journal.rows.names}
    columns |= {"journal": as_column(journal.journals), "line": as_column(journal.lines)}
    frame = _frame(columns | {"superseded": np.array(journal.superseded, dtype=bool)})
    frame.attrs["notes"] = list(journal.notes)
    return frame


def plain_frame(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with plain lists and dictionaries of their own, and pandas' own texts: for a notebook."""
    plain = runs.copy(deep=False)
    for name in RECORDS:
        plain[name] = as_objects([[dict(record) for record in records] for records in runs[name]])
    plain["link"] = as_objects([copy.deepcopy(link) for link in runs["link"]])
    for name in FLOATS:
        plain[name] = as_objects([list(values) for values in runs[name]])
    plain.attrs = runs.attrs
    return plain.infer_objects()


def stages_frame(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run and stage: what names the run, and the stage's own figures."""
    stages = Records(runs["stages"], StageFigures)
    context = {name: stages.of_each(runs[name].to_numpy()) for name in CONTEXT}
    return _frame(context | {name: stages[name] for name in stages.columns.names})


def _frame(columns: Mapping[str, npt.NDArray[Any]]) -> pd.DataFrame:
    """Return columns as a frame, objects as they are: pandas would copy texts, and make them anew when asked."""
    return pd.DataFrame(
        {name: pd.Series(values, dtype=values.dtype, copy=False) for name, values in columns.items()}, copy=False
    )
