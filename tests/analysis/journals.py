"""Journals in memory: from rows, and back to rows."""

from __future__ import annotations

import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from analysis.columns import Part
from analysis.journal import Journal
from stage_runtime.formats.row import Row


def gather(rows: Iterable[Row]) -> Journal:
    """Give rows as read from a journal."""
    journal = Journal()
    given = list(rows)
    journal.extend(given, Path("made"), range(1, len(given) + 1))
    return journal


def rows_of(journal: Journal) -> list[Row]:
    """Give the rows that a journal was read from: what its columns hold, put together again."""
    names = journal.rows.names
    return [
        msgspec.convert({name: _plain(journal.rows.get(name, index)) for name in names}, Row)
        for index in range(len(journal))
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return [dict(record) for record in value]
    return list(value) if isinstance(value, array.array) else value
