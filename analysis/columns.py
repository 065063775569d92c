"""Records as columns, which take a tenth of the memory of as many dictionaries.

A journal of 100,000 rows holds some 300,000 stages, hops and link directions.  As dictionaries they would take
gigabytes; here a figure is eight bytes, a text is held once, and a record is looked up when it is asked for.
"""

from __future__ import annotations

import array
import operator
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import msgspec

_NAN = float("nan")


class Pool:
    """Holds equal values once."""

    def __init__(self) -> None:
        self._held: dict[Hashable, Any] = {}

    def hold(self, value: Any) -> Any:
        """Return the value that was held first among its equals."""
        return self._held.setdefault((type(value), value), value)


class Columns:
    """Structs of one type, column by column; figures that may be None are NaN in their column.

    ``convert`` says by a field's name what its values are to be held as; texts and the like are held in ``pool``.
    """

    def __init__(
        self, kind: type[msgspec.Struct], pool: Pool, convert: Mapping[str, Callable[[Any], Any]] | None = None
    ) -> None:
        hints = {field.name: field.type for field in msgspec.structs.fields(kind)}
        self.names = tuple(hints)
        self.figures = frozenset(name for name, hint in hints.items() if float in _options(hint))
        self.held: dict[str, array.array[Any] | list[Any]] = {}
        self.count = 0
        self._all_of = operator.attrgetter(*self.names)
        self._put: list[Callable[[Any], None]] = []
        for name, hint in hints.items():
            own = (convert or {}).get(name)
            code = None if own else "d" if name in self.figures else "q" if hint is int else None
            self.held[name] = [] if code is None else array.array(code)
            append = self.held[name].append
            change = own or (pool.hold if code is None else _nan_for_none if type(None) in _options(hint) else None)
            self._put.append(append if change is None else _changing(append, change))

    def add(self, record: msgspec.Struct) -> None:
        """Append a record."""
        for put, value in zip(self._put, self._all_of(record), strict=True):
            put(value)
        self.count += 1

    def extend(self, records: Iterable[msgspec.Struct]) -> Part:
        """Append the records of one run, and give them."""
        begin = self.count
        for record in records:
            self.add(record)
        return Part(self, begin, self.count)

    def get(self, name: str, index: int) -> Any:
        """Return a record's value, None where it is not known."""
        value = self.held[name][index]
        return None if name in self.figures and value != value else value  # noqa: PLR0124 - only NaN is not itself


class Record(Mapping[str, Any]):
    """One record of some columns."""

    __slots__ = ("_columns", "_index")

    def __init__(self, columns: Columns, index: int) -> None:
        self._columns = columns
        self._index = index

    def __getitem__(self, name: str) -> Any:
        """Return a value by its name."""
        return self._columns.get(name, self._index)

    def __iter__(self) -> Iterator[str]:
        """Give the names."""
        return iter(self._columns.names)

    def __len__(self) -> int:
        """Count the names."""
        return len(self._columns.names)


class Part(Sequence[Record]):
    """The records of one run among those of all."""

    __slots__ = ("begin", "columns", "end")

    def __init__(self, columns: Columns, begin: int, end: int) -> None:
        self.columns = columns
        self.begin = begin
        self.end = end

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Part: ...
    def __getitem__(self, index: int | slice) -> Record | Part:
        """Return a record, or several that follow each other."""
        if isinstance(index, slice):
            begin, end, _ = index.indices(len(self))
            return Part(self.columns, self.begin + begin, self.begin + max(begin, end))
        return Record(self.columns, range(self.begin, self.end)[index])

    def __iter__(self) -> Iterator[Record]:
        """Give the records."""
        columns = self.columns
        for index in range(self.begin, self.end):
            yield Record(columns, index)

    def __len__(self) -> int:
        """Count the records."""
        return self.end - self.begin


def _options(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in {typing.Union, types.UnionType} else (hint,)


def _nan_for_none(value: float | None) -> float:
    return _NAN if value is None else value


def _changing(append: Callable[[Any], None], change: Callable[[Any], Any]) -> Callable[[Any], None]:
    def put(value: Any) -> None:
        append(change(value))

    return put
