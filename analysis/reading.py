"""Read journals: lines of JSON to rows, with what was wrong noted and never silently dropped.

A long journal is cut into pieces, which several processes read.
"""

from __future__ import annotations

import gzip
import itertools
import multiprocessing
import os
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self, cast

import msgspec

from analysis.campaigns import Campaign
from analysis.errors import AnalysisError
from analysis.journal import Journal
from stage_runtime.errors import FormatError
from stage_runtime.formats.row import ROW_SCHEMA, Row

_UNPACKED_AT_ONCE = 2**20
_ROWS_AT_ONCE = 200
_MOST_PROCESSES = 4
# a piece that is shorter is read before another process has sent its rows
_LEAST_PIECE = 2**24
# the first piece is larger than the others by so many of them, which have their rows to send when they are read
_MORE_TO_READ = 0.25


class Readers:
    """Further processes that read pieces of long journals, where there are cores for them.

    They are forked here, so make this before any thread is started.
    """

    def __init__(self, campaigns: Sequence[Campaign], cores: int | None = None) -> None:
        cores = len(os.sched_getaffinity(0)) if cores is None else cores
        pieces = max((len(_cut(campaign.journal, min(cores, _MOST_PROCESSES))) for campaign in campaigns), default=1)
        self.count = pieces - 1
        self._pool: ProcessPoolExecutor | None = None
        if self.count:
            self._pool = ProcessPoolExecutor(self.count, mp_context=multiprocessing.get_context("fork"))
            self._pool.submit(os.getpid)  # the pool makes its processes with its first job

    def begin(self, pieces: Sequence[_Piece]) -> list[Future[tuple[_Outcome, dict[str, Any]]]]:
        """Begin to read pieces; the results hold their rows packed."""
        return [self._pool.submit(_read_packed, piece) for piece in pieces] if self._pool else []

    def __enter__(self) -> Self:
        """Use the readers in a ``with`` statement."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


class _Piece(NamedTuple):
    """The lines of a file from byte ``begin`` to byte ``end``, None for its last; both are ends of lines."""

    path: Path
    begin: int = 0
    end: int | None = None


class _Outcome(NamedTuple):
    """How many lines a piece has, those that are no JSON, and the first that is no row: nothing behind it was read.

    Lines are counted from 1 in the piece; of both kinds they come with what is to be said of them.
    """

    lines: int
    torn: list[tuple[int, str]]
    refused: tuple[int, str] | None


def read_journals(campaigns: Sequence[Campaign], readers: Readers | None = None) -> Journal:
    """Read and merge the campaigns' journals.

    Equal cells of different campaigns are further repeats of each other.  Raises
    :class:`AnalysisError` when none holds a row, :class:`FormatError` when a line is valid JSON
    but no row of this version.
    """
    journal = Journal()
    for campaign in campaigns:
        _read_into(journal, campaign.journal, readers)
    if not len(journal):
        where = ", ".join(str(campaign.journal) for campaign in campaigns)
        raise AnalysisError(
            f"no finished run in {where}: nothing to analyse yet. Run the sweep of this campaign again "
            "(it goes on where it stopped), or name another campaign"
        )
    return journal


def _read_into(journal: Journal, path: Path, readers: Readers | None) -> None:
    before = len(journal)
    first, *others = _cut(path, 1 + readers.count) if readers else [_Piece(path)]
    begun = readers.begin(others) if readers else []
    torn: list[str] = []
    lines = _note(path, _read_piece(journal, first), 0, torn)
    for future in begun:
        outcome, packed = future.result()
        journal.extend_packed(packed, path, lines)
        lines = _note(path, outcome, lines, torn)
    nothing = [] if len(journal) > before else [f"{path}: no finished run"]
    journal.notes += nothing + torn + _judge(journal, before, path)


def _cut(path: Path, count: int) -> list[_Piece]:
    """Cut a file at ends of lines into at most so many pieces; one that is packed is left whole."""
    size = path.stat().st_size
    count = 1 if path.suffix == ".gz" else max(1, min(count, size // _LEAST_PIECE))
    begins = {0}
    with path.open("rb") as file:
        for number in range(1, count):
            file.seek(int(size * (number + _MORE_TO_READ) / (count + _MORE_TO_READ)))
            file.readline()
            begins.add(file.tell())
    ordered = sorted(begins)
    return [_Piece(path, begin, end) for begin, end in itertools.zip_longest(ordered, ordered[1:])]


def _note(path: Path, outcome: _Outcome, lines_before: int, torn: list[str]) -> int:
    """Note what was wrong in a piece behind so many lines, and count its own; raise for a line that is no row."""
    torn += [f"{path}:{lines_before + line}: {what} and is ignored" for line, what in outcome.torn]
    if outcome.refused:
        line, why = outcome.refused
        raise FormatError(
            f"{path}:{lines_before + line} is no row of schema {ROW_SCHEMA}: {why}. Analyse it with the version of "
            "this project that wrote it, or take the line out"
        )
    return lines_before + outcome.lines


def _judge(journal: Journal, before: int, path: Path) -> list[str]:
    """Keep the first ``ok`` row of each (cell, repeat) and mark failures that a retry made good; note the others."""
    held = journal.rows.held
    keys = list(itertools.islice(zip(held["cell_id"], held["repeat"], strict=True), before, None))
    good = [status == "ok" for status in itertools.islice(held["status"], before, None)]
    first: dict[tuple[str, int], int] = {}
    notes: list[str] = []
    repeated: set[int] = set()
    for place in itertools.compress(range(len(keys)), good):
        own = journal.lines[before + place]
        line = first.setdefault(keys[place], own)
        if line != own:
            cell, repeat = keys[place]
            repeated.add(before + place)
            notes.append(
                f"{path}:{own}: cell {cell} repeat {repeat} is ok a second time "
                f"(first on line {line}); only the first counts"
            )
    for place, key in enumerate(keys):
        journal.superseded[before + place] = not good[place] and key in first
    if repeated:
        journal.drop(repeated)
    return notes


def _read_packed(piece: _Piece) -> tuple[_Outcome, dict[str, Any]]:
    journal = Journal()
    return _read_piece(journal, piece), journal.pack()


def _read_piece(journal: Journal, piece: _Piece) -> _Outcome:
    decoder = msgspec.json.Decoder(Row)
    torn: list[tuple[int, str]] = []
    refused: tuple[int, str] | None = None
    rows: list[Row] = []
    places: list[int] = []
    number = 0
    for number, line in enumerate(_lines(piece), start=1):
        if not line.strip():
            continue
        try:
            row = decoder.decode(line)
            if row.schema != ROW_SCHEMA:
                raise msgspec.ValidationError(f"its schema is {row.schema}")  # noqa: TRY301 - told like the others
        except msgspec.ValidationError as exc:
            refused = number, str(exc)
            break
        except (msgspec.DecodeError, UnicodeDecodeError):
            # The driver fsyncs each line, so only a write cut short leaves one that is no JSON:
            # it is the last line, or lies where an interrupted sweep was taken up again.
            what = "a line is no JSON" if line.endswith(b"\n") else "the last line was cut short"
            torn.append((number, what))
            continue
        rows.append(row)
        places.append(number)
        if len(rows) == _ROWS_AT_ONCE:
            journal.extend(rows, piece.path, places)
            rows, places = [], []
    journal.extend(rows, piece.path, places)
    return _Outcome(number, torn, refused)


def _lines(piece: _Piece) -> Iterator[bytes]:
    """Give lines one by one, unpacked if they are packed; raises :class:`FormatError` for a damaged pack."""
    path = piece.path
    if path.suffix != ".gz":
        left = -1 if piece.end is None else piece.end - piece.begin
        with path.open("rb") as lines:
            lines.seek(piece.begin)
            for line in lines:
                yield line
                left -= len(line)
                if left == 0:
                    return
        return
    try:
        # all of it first: what a damaged pack unpacks to before the damage shows may be anything
        with gzip.open(path) as packed:
            while packed.read(_UNPACKED_AT_ONCE):
                pass
    except (EOFError, OSError, zlib.error) as exc:
        raise FormatError(f"{path}: the packed journal is damaged ({exc}); fetch it again") from exc
    with gzip.open(path) as packed:
        yield from cast("BinaryIO", packed)
