"""Read journals: lines of JSON to rows, with what was wrong noted and never silently dropped."""

from __future__ import annotations

import dataclasses
import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from analysis.campaigns import Campaign
from analysis.errors import AnalysisError
from stage_runtime.errors import FormatError
from stage_runtime.formats.row import ROW_SCHEMA, Row


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One row and where it stands; ``superseded`` is a failure whose retry succeeded."""

    row: Row
    journal: Path
    line: int
    superseded: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Journal:
    """The runs of one or many campaigns, in the order written, and notes for the reader."""

    entries: tuple[Entry, ...]
    notes: tuple[str, ...]


def read_journals(campaigns: Sequence[Campaign]) -> Journal:
    """Read and merge the campaigns' journals.

    Equal cells of different campaigns are further repeats of each other.  Raises
    :class:`AnalysisError` when none holds a row, :class:`FormatError` when a line is valid JSON
    but no row of this version.
    """
    entries: list[Entry] = []
    notes: list[str] = []
    for campaign in campaigns:
        parsed, torn = _parse(campaign.journal)
        kept, repeated = _settle(parsed)
        if not kept:
            notes.append(f"{campaign.journal}: no finished run")
        entries += kept
        notes += torn + repeated
    if not entries:
        where = ", ".join(str(campaign.journal) for campaign in campaigns)
        raise AnalysisError(
            f"no finished run in {where}: nothing to analyse yet. Run the sweep of this campaign again "
            "(it goes on where it stopped), or name another campaign"
        )
    return Journal(entries=tuple(entries), notes=tuple(notes))


def _parse(path: Path) -> tuple[list[Entry], list[str]]:
    entries = []
    notes = []
    lines = _read(path).split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entries.append(Entry(row=_row(line), journal=path, line=number))
        except msgspec.ValidationError as exc:
            raise FormatError(
                f"{path}:{number} is no row of schema {ROW_SCHEMA}: {exc}. Analyse it with the version of "
                "this project that wrote it, or take the line out"
            ) from exc
        except (msgspec.DecodeError, UnicodeDecodeError):
            # The driver fsyncs each line, so only a write cut short leaves one that is no JSON:
            # it is the last line, or lies where an interrupted sweep was taken up again.
            what = "the last line was cut short" if number == len(lines) else "a line is no JSON"
            notes.append(f"{path}:{number}: {what} and is ignored")
    return entries, notes


def _read(path: Path) -> bytes:
    """Return a journal's bytes, unpacked if it is packed; raises :class:`FormatError` for a damaged pack."""
    content = path.read_bytes()
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as exc:
        raise FormatError(f"{path}: the packed journal is damaged ({exc}); fetch it again") from exc


def _row(line: bytes) -> Row:
    row = msgspec.json.decode(line, type=Row)
    if row.schema != ROW_SCHEMA:
        raise msgspec.ValidationError(f"its schema is {row.schema}")
    return row


def _settle(entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    """Keep the first ``ok`` row of each (cell, repeat) and mark failures that a retry made good."""
    first: dict[tuple[str, int], Entry] = {}
    kept = []
    notes = []
    for entry in entries:
        key = (entry.row.cell_id, entry.row.repeat)
        if entry.row.status == "ok" and key in first:
            notes.append(
                f"{entry.journal}:{entry.line}: cell {key[0]} repeat {key[1]} is ok a second time "
                f"(first on line {first[key].line}); only the first counts"
            )
            continue
        if entry.row.status == "ok":
            first[key] = entry
        kept.append(entry)
    settled = [
        dataclasses.replace(
            entry, superseded=entry.row.status != "ok" and (entry.row.cell_id, entry.row.repeat) in first
        )
        for entry in kept
    ]
    return settled, notes
