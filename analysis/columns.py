"""Records as columns, which take a tenth of the memory of as many dictionaries.

A journal of 100,000 rows holds some 300,000 stages, hops and link directions.  As dictionaries they would take
gigabytes; here a figure is eight bytes, a text is held once, and a record is looked up when it is asked for.
"""

from __future__ import annotations

import array
import itertools
import operator
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import msgspec

_NAN = float("nan")


class Columns:
    """Structs of one type, column by column; figures that may be None are NaN in their column.

    ``convert`` makes of a field's values, by its name, what they are to be held as.  Records are best appended by the
    thousand: what is done for each value is then done by the column.
    """

    def __init__(
        self,
        kind: type[msgspec.Struct],
        convert: Mapping[str, Callable[[Sequence[Any]], Iterable[Any]]] | None = None,
    ) -> None:
        hints = {field.name: field.type for field in msgspec.structs.fields(kind)}
        self.names = tuple(hints)
        self.figures = frozenset(name for name, hint in hints.items() if float in _options(hint))
        self.held: dict[str, array.array[Any] | list[Any]] = {}
        self.count = 0
        self._all_of = operator.attrgetter(*self.names)
        self._put: list[Callable[[Sequence[Any]], None]] = []
        for name, hint in hints.items():
            own = (convert or {}).get(name)
            code = None if own else "d" if name in self.figures else "q" if hint is int else None
            self.held[name] = [] if code is None else array.array(code)
            change = own or (_holder() if code is None else _figures if code == "d" else _integers)
            self._put.append(_changing(self.held[name].extend, change))

    def extend(self, records: Iterable[msgspec.Struct]) -> Part:
        """Append records, and give them."""
        begin = self.count
        values = list(map(self._all_of, records))
        if values:
            for put, column in zip(self._put, zip(*values, strict=True), strict=True):
                put(column)
        self.count += len(values)
        return Part(self, begin, self.count)

    def extend_each(self, runs: Sequence[Sequence[msgspec.Struct]]) -> list[Part]:
        """Append the records of several runs, and give those of each."""
        added = self.extend(record for run in runs for record in run)
        return self.cut(added.begin, map(len, runs))

    def cut(self, begin: int, counts: Iterable[int]) -> list[Part]:
        """Give so many records each, one behind the other from ``begin`` on."""
        ends = itertools.accumulate(counts, initial=begin)
        return [Part(self, start, end) for start, end in itertools.pairwise(ends)]

    def extend_held(self, held: Mapping[str, Any]) -> None:
        """Append what other columns of this type hold, as it is held."""
        for name, column in self.held.items():
            column.extend(held[name])
        self.count += len(held[self.names[0]])

    def keep(self, which: Sequence[bool]) -> None:
        """Take out the records of which this is false."""
        for column in self.held.values():
            kept = itertools.compress(column, which)
            if isinstance(column, array.array):
                column[:] = array.array(column.typecode, kept)
            else:
                column[:] = kept
        self.count = sum(which)

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


def _holder() -> Callable[[Sequence[Any]], Iterable[Any]]:
    """Return what gives for each value the one that came first among its equals, so that each is held once."""
    hold = dict[Hashable, Any]().setdefault
    return lambda values: map(hold, values, values)


def _figures(values: Sequence[float | None]) -> array.array[float]:
    # what is added to an array one by one takes twice as long
    try:
        return array.array("d", values)  # type: ignore[arg-type]  # a None raises TypeError
    except TypeError:
        return array.array("d", [_NAN if value is None else value for value in values])


def _integers(values: Sequence[int]) -> array.array[int]:
    return array.array("q", values)


def _changing(
    extend: Callable[[Iterable[Any]], None], change: Callable[[Sequence[Any]], Iterable[Any]]
) -> Callable[[Sequence[Any]], None]:
    def put(values: Sequence[Any]) -> None:
        extend(change(values))

    return put
