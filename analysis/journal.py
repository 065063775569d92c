"""Read journals: lines of JSON to rows, with what was wrong noted and never silently dropped."""

from __future__ import annotations

import array
import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from analysis.campaigns import Campaign
from analysis.columns import Columns
from analysis.errors import AnalysisError
from stage_runtime.errors import FormatError
from stage_runtime.formats.row import ROW_SCHEMA, HopFigures, Row, StageFigures

_PIECE = 2**20
_ROWS_AT_ONCE = 1000


class Journal:
    """The runs of one or many campaigns, in the order written, and notes for the reader.

    ``rows`` holds the rows' fields as columns, ``journals`` and ``lines`` where each row stands; ``superseded`` tells
    the failures whose retry succeeded.
    """

    def __init__(self) -> None:
        self.stages = Columns(StageFigures)
        self.hops = Columns(HopFigures)
        convert: dict[str, Callable[[Any], Any]] = {"stages": self.stages.extend_each, "hops": self.hops.extend_each}
        convert |= {"link": _Links().hold}
        convert |= dict.fromkeys(("batch_latency_ms", "batch_response_ms", "warmup_response_ms"), _floats)
        self.rows = Columns(Row, convert)
        self.journals: list[str] = []
        self.lines = array.array("q")
        self.superseded: list[bool] = []
        self.notes: list[str] = []

    def extend(self, rows: Sequence[Row], journal: Path, lines: Sequence[int]) -> None:
        """Append rows that stand on these lines of that journal."""
        self.rows.extend(rows)
        self.journals.extend([str(journal)] * len(rows))
        self.lines.extend(lines)
        self.superseded.extend([False] * len(rows))

    def __len__(self) -> int:
        """Count the rows."""
        return self.rows.count


def read_journals(campaigns: Sequence[Campaign]) -> Journal:
    """Read and merge the campaigns' journals.

    Equal cells of different campaigns are further repeats of each other.  Raises
    :class:`AnalysisError` when none holds a row, :class:`FormatError` when a line is valid JSON
    but no row of this version.
    """
    journal = Journal()
    for campaign in campaigns:
        _read_into(journal, campaign.journal)
    if not len(journal):
        where = ", ".join(str(campaign.journal) for campaign in campaigns)
        raise AnalysisError(
            f"no finished run in {where}: nothing to analyse yet. Run the sweep of this campaign again "
            "(it goes on where it stopped), or name another campaign"
        )
    return journal


def _read_into(journal: Journal, path: Path) -> None:
    """Keep the first ``ok`` row of each (cell, repeat) and mark failures that a retry made good."""
    first: dict[tuple[str, int], int] = {}
    failures: list[tuple[int, tuple[str, int]]] = []
    torn: list[str] = []
    repeated: list[str] = []
    before = len(journal)
    rows: list[Row] = []
    lines: list[int] = []
    for number, row in _rows(path, torn):
        key = (row.cell_id, row.repeat)
        if row.status != "ok":
            failures.append((len(journal) + len(rows), key))
        elif key in first:
            repeated.append(
                f"{path}:{number}: cell {key[0]} repeat {key[1]} is ok a second time "
                f"(first on line {first[key]}); only the first counts"
            )
            continue
        else:
            first[key] = number
        rows.append(row)
        lines.append(number)
        if len(rows) == _ROWS_AT_ONCE:
            journal.extend(rows, path, lines)
            rows, lines = [], []
    journal.extend(rows, path, lines)
    for index, key in failures:
        journal.superseded[index] = key in first
    nothing = [] if len(journal) > before else [f"{path}: no finished run"]
    journal.notes += nothing + torn + repeated


def _rows(path: Path, notes: list[str]) -> Iterator[tuple[int, Row]]:
    decoder = msgspec.json.Decoder(Row)
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = decoder.decode(line)
            if row.schema != ROW_SCHEMA:
                raise msgspec.ValidationError(f"its schema is {row.schema}")  # noqa: TRY301 - told like the others
        except msgspec.ValidationError as exc:
            raise FormatError(
                f"{path}:{number} is no row of schema {ROW_SCHEMA}: {exc}. Analyse it with the version of "
                "this project that wrote it, or take the line out"
            ) from exc
        except (msgspec.DecodeError, UnicodeDecodeError):
            # The driver fsyncs each line, so only a write cut short leaves one that is no JSON:
            # it is the last line, or lies where an interrupted sweep was taken up again.
            what = "a line is no JSON" if line.endswith(b"\n") else "the last line was cut short"
            notes.append(f"{path}:{number}: {what} and is ignored")
        else:
            yield number, row


def _lines(path: Path) -> Iterator[bytes]:
    """Give a journal's lines one by one, unpacked if it is packed; raises :class:`FormatError` for a damaged pack."""
    if path.suffix != ".gz":
        with path.open("rb") as lines:
            yield from lines
        return
    try:
        # all of it first: what a damaged pack unpacks to before the damage shows may be anything
        with gzip.open(path) as packed:
            while packed.read(_PIECE):
                pass
    except (EOFError, OSError, zlib.error) as exc:
        raise FormatError(f"{path}: the packed journal is damaged ({exc}); fetch it again") from exc
    with gzip.open(path) as packed:
        yield from cast("BinaryIO", packed)


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
