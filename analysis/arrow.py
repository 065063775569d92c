"""Tables of runs as Arrow tables, which are written tens of times as fast, and hold lists of records as such.

They are written piece by piece: whole they would take as much memory again as the runs.
"""

from __future__ import annotations

import array
import contextlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from analysis.columns import Columns, Part
from analysis.records import as_column, places_of, take


class Kind(NamedTuple):
    """What a column holds in Parquet, and how a CSV says it: as Arrow does, or as Python's own text."""

    type: pa.DataType
    said: Literal["as it is", "as Python says"]


Kinds = Mapping[str, Kind]


class TableFiles:
    """The CSV and the Parquet file of one table, for pieces of it that follow each other.

    The CSV lacks the columns ``nested``.  It is as pandas would write it but for figures: Arrow writes 1e-05 as
    0.00001, and 1.0 as 1.
    """

    def __init__(self, folder: Path, name: str, kinds: Kinds, nested: Collection[str] = ()) -> None:
        self._files = folder / f"{name}.csv", folder / f"{name}.parquet"
        self._kinds = kinds
        self._schema = pa.schema({column: kind.type for column, kind in kinds.items()})
        self._said = pa.schema(
            {
                column: kind.type if kind.said == "as it is" else pa.string()
                for column, kind in kinds.items()
                if column not in nested
            }
        )
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Begin both files."""
        with contextlib.ExitStack() as stack:
            csv = stack.enter_context(self._files[0].open("wb"))
            csv.write((",".join(self._said.names) + "\n").encode())  # Arrow would put its names in quotes
            options = pa.csv.WriteOptions(include_header=False, quoting_style="needed")
            self._csv = stack.enter_context(pa.csv.CSVWriter(csv, self._said, write_options=options))
            # figures hardly repeat: a dictionary of them is made in vain
            texts = [field.name for field in self._schema if pa.types.is_string(field.type)]
            self._parquet = stack.enter_context(
                pa.parquet.ParquetWriter(self._files[1], self._schema, use_dictionary=texts)
            )
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish both files."""
        self._open.close()

    def write(self, frame: pd.DataFrame) -> None:
        """Append a piece of the table."""
        columns = {name: _array(frame[name].to_numpy(), kind.type) for name, kind in self._kinds.items()}
        self._parquet.write_table(pa.table(columns, schema=self._schema))
        said = {
            name: columns[name] if self._kinds[name].said == "as it is" else _texts(frame[name].tolist())
            for name in self._said.names
        }
        self._csv.write_table(pa.table(said, schema=self._said))


def kinds_of_frame(frame: pd.DataFrame) -> Kinds:
    """Return the kinds of a frame's columns; nested ones are lists of records or of figures."""
    return {str(name): _kind(frame[name].to_numpy()) for name in frame.columns}


def kinds_of_records(columns: Columns) -> Kinds:
    """Return the kinds of records' fields."""
    return {name: _kind(as_column(columns.held[name])) for name in columns.names}


def _kind(values: npt.NDArray[Any]) -> Kind:
    if values.dtype != object:
        return Kind(pa.from_numpy_dtype(values.dtype), "as Python says" if values.dtype == bool else "as it is")
    items = values.tolist()
    kinds = set(map(type, items))
    if Part in kinds:
        fields = kinds_of_records(next(item for item in items if isinstance(item, Part)).columns)
        return Kind(pa.list_(pa.struct([(name, kind.type) for name, kind in fields.items()])), "as it is")
    if array.array in kinds:
        return Kind(pa.list_(pa.float64()), "as it is")
    if list in kinds:
        return Kind(pa.array(list({id(item): item for item in items}.values())).type, "as it is")
    kind = pa.array(list(dict.fromkeys(items))).type
    return Kind(kind, "as Python says" if tuple in kinds or kinds <= {bool} else "as it is")


def _array(values: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    if values.dtype != object:
        return pa.array(values, kind, from_pandas=True)
    items = values.tolist()
    first = next((item for item in items if item is not None), None)
    if isinstance(first, Part):
        return _parts(items, kind)
    if isinstance(first, array.array):
        return _lists(items, pa.array(np.concatenate([np.asarray(item) for item in items])))
    if isinstance(first, list):
        return _shared(items, kind)
    return pa.array(items, kind, from_pandas=True)


def _texts(items: Sequence[Any]) -> pa.Array:
    """Return values as Python says them, each said once."""
    said = {item: str(item) for item in set(items)}
    return pa.array(list(map(said.__getitem__, items)), pa.string())


def _parts(parts: Sequence[Part], kind: pa.ListType) -> pa.Array:
    """Return records as structs; those of the runs of one table are taken from its columns whole."""
    columns = parts[0].columns
    taken = places_of(parts)
    fields = [_array(take(columns.held[field.name], taken), field.type) for field in kind.value_type]
    return _lists(parts, pa.StructArray.from_arrays(fields, fields=list(kind.value_type)))


def _lists(items: Sequence[Sequence[Any]], values: pa.Array) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum([len(item) for item in items])])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)


def _shared(items: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return lists that runs share, each made once."""
    places: dict[int, int] = {}
    distinct: list[Any] = []
    for item in items:
        if id(item) not in places:
            places[id(item)] = len(distinct)
            distinct.append(item)
    return pa.array(distinct, kind).take(pa.array([places[id(item)] for item in items]))
