"""Tables of runs as Arrow tables, which are written tens of times as fast, and hold lists of records as such."""

from __future__ import annotations

import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from analysis.columns import Part

_ROWS_AT_ONCE = 10_000


def arrow_table(frame: pd.DataFrame) -> pa.Table:
    """Return a table of runs or stages with its nested columns as lists of records or of figures."""
    return pa.table({str(name): _array(frame[name]) for name in frame.columns})


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write a table as Parquet; so many rows at once that what is not yet written takes little memory."""
    # figures hardly repeat: a dictionary of them is made in vain
    texts = [field.name for field in table.schema if pa.types.is_string(field.type)]
    pa.parquet.write_table(table, path, row_group_size=_ROWS_AT_ONCE, use_dictionary=texts)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as pandas would, but for figures: Arrow writes 1e-05 as 0.00001, and 1.0 as 1."""
    plain = {str(name): _plain(frame[name]) for name in frame.columns}
    with path.open("wb") as file:
        file.write((",".join(plain) + "\n").encode())  # Arrow would put its names in quotes
        options = pa.csv.WriteOptions(include_header=False, quoting_style="needed")
        pa.csv.write_csv(pa.table(plain), file, options)


def _plain(values: pd.Series[Any]) -> pa.Array:
    """Return values for a file that knows texts and figures alone."""
    kinds = set(map(type, values.tolist())) if values.dtype == object else {values.dtype.type}
    if kinds <= {bool, np.bool_}:
        return pa.array(np.where(values.to_numpy(dtype=bool), "True", "False"))
    if tuple in kinds:
        return pa.array(list(map(str, values)))
    return _array(values)


def _array(values: pd.Series[Any]) -> pa.Array:
    items = values.tolist() if values.dtype == object else []
    first = next((item for item in items if item is not None), None)
    if isinstance(first, Part):
        return _parts(items)
    if isinstance(first, array.array):
        return _lists(items, pa.array(np.concatenate([np.asarray(item) for item in items])))
    if isinstance(first, list):
        return _shared(items)
    return pa.array(values, from_pandas=True)


def _parts(parts: Sequence[Part]) -> pa.Array:
    """Return records as structs; those of the runs of one table are taken from its columns whole."""
    columns = parts[0].columns
    taken = np.concatenate([np.arange(part.begin, part.end) for part in parts])
    fields = []
    for name in columns.names:
        values = columns.held[name]
        if isinstance(values, array.array):
            fields.append(pa.array(np.asarray(values)[taken], from_pandas=True))
        else:
            fields.append(pa.array([values[index] for index in taken.tolist()]))
    return _lists(parts, pa.StructArray.from_arrays(fields, names=list(columns.names)))


def _lists(items: Sequence[Sequence[Any]], values: pa.Array) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum([len(item) for item in items])])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)


def _shared(items: Sequence[Any]) -> pa.Array:
    """Return lists that runs share, each made once."""
    places: dict[int, int] = {}
    distinct: list[Any] = []
    for item in items:
        if id(item) not in places:
            places[id(item)] = len(distinct)
            distinct.append(item)
    return pa.array(distinct).take(pa.array([places[id(item)] for item in items]))
