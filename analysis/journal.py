"""The rows of journals, held as columns."""

from __future__ import annotations

import array
import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from analysis.columns import Columns
from stage_runtime.formats.row import HopFigures, Row, StageFigures

# fields of a row that hold several figures, and several records
FLOATS = ("batch_latency_ms", "batch_response_ms", "warmup_response_ms")
RECORDS = ("stages", "hops")


class Journal:
    """The runs of one or many campaigns, in the order written, and notes for the reader.

    ``rows`` holds the rows' fields as columns, ``journals`` and ``lines`` where each row stands; ``superseded`` tells
    the failures whose retry succeeded.
    """

    def __init__(self) -> None:
        self.stages = Columns(StageFigures)
        self.hops = Columns(HopFigures)
        self._links = _Links()
        convert: dict[str, Callable[[Any], Any]] = {"stages": self.stages.extend_each, "hops": self.hops.extend_each}
        convert |= {"link": self._links.hold} | dict.fromkeys(FLOATS, _floats)
        self.rows = Columns(Row, convert)
        self.journals: list[str] = []
        self.lines = array.array("q")
        self.superseded: list[bool] = []
        self.notes: list[str] = []

    def extend(self, rows: Sequence[Row], journal: Path, lines: Sequence[int]) -> None:
        """Append rows that stand on these lines of that journal."""
        self.rows.extend(rows)
        self._place(journal, lines)

    def _place(self, journal: Path, lines: Sequence[int]) -> None:
        self.journals.extend([str(journal)] * len(lines))
        self.lines.extend(lines)
        self.superseded.extend([False] * len(lines))

    def __len__(self) -> int:
        """Count the rows."""
        return self.rows.count

    def pack(self) -> dict[str, Any]:
        """Return the rows in few large pieces, for another process: see :meth:`extend_packed`."""
        packed: dict[str, Any] = {name: getattr(self, name).held for name in RECORDS}
        rows = dict(self.rows.held)
        for name in (*RECORDS, *FLOATS):
            rows[name] = array.array("q", map(len, rows[name]))
        flat = {name: array.array("d", b"".join(self.rows.held[name])) for name in FLOATS}
        return packed | {"rows": rows, "flat": flat, "lines": self.lines}

    def extend_packed(self, packed: dict[str, Any], journal: Path, lines_before: int) -> None:
        """Append what another journal packed; its lines stand behind so many others of that journal."""
        rows = packed["rows"]
        for name in RECORDS:
            columns: Columns = getattr(self, name)
            rows[name] = columns.cut(columns.count, rows[name])
            columns.extend_held(packed[name])
        for name, values in packed["flat"].items():
            ends = itertools.accumulate(rows[name], initial=0)
            rows[name] = [values[begin:end] for begin, end in itertools.pairwise(ends)]
        rows["link"] = list(self._links.hold(rows["link"]))
        self.rows.extend_held(rows)
        self._place(journal, [lines_before + line for line in packed["lines"]])

    def drop(self, places: Collection[int]) -> None:
        """Take out the rows at these places."""
        keep = [place not in places for place in range(len(self))]
        self.rows.keep(keep)
        self.journals = list(itertools.compress(self.journals, keep))
        self.lines = array.array("q", itertools.compress(self.lines, keep))
        self.superseded = list(itertools.compress(self.superseded, keep))


class _Links:
    """Holds links that are alike once, as plain lists and dictionaries."""

    def __init__(self) -> None:
        self._held: dict[bytes, list[dict[str, Any]]] = {}
        self._last: tuple[object, list[dict[str, Any]]] = (None, [])

    def hold(self, links: Sequence[object]) -> Iterator[list[dict[str, Any]]]:
        """Give for each link the one that came first among its equals; most are alike with the one before."""
        for link in links:
            if link != self._last[0]:
                key = msgspec.json.encode(link)
                if key not in self._held:
                    self._held[key] = list(msgspec.to_builtins(link))
                self._last = link, self._held[key]
            yield self._last[1]


def _floats(values: Sequence[Sequence[float]]) -> list[array.array[float]]:
    return [array.array("d", each) for each in values]
