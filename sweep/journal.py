"""The journal: one result row a line, on the disk before it counts.

A line is appended and fsynced in one step.  A process killed in between leaves at most one torn
last line, which reading ignores and the next append cuts off, so a journal always parses.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from stage_runtime.formats.row import Row, Status
from sweep.errors import CampaignError


class _Key(msgspec.Struct):
    """The part of a row that resuming needs."""

    cell_id: str
    repeat: int
    status: Status


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a journal; a torn last line is ignored.

    Raises CampaignError for a whole line that is no row.
    """
    for number, line in _whole_lines(path):
        try:
            yield msgspec.json.decode(line, type=Row)
        except msgspec.MsgspecError as exc:
            raise CampaignError(f"{path}:{number}: not a result row ({exc}); remedy: fresh=true begins anew") from exc


def read_outcomes(path: Path) -> dict[tuple[str, int], Status]:
    """Give the last outcome of every run in the journal; ``ok`` is never taken back."""
    outcomes: dict[tuple[str, int], Status] = {}
    for number, line in _whole_lines(path):
        try:
            key = msgspec.json.decode(line, type=_Key)
        except msgspec.MsgspecError as exc:
            raise CampaignError(f"{path}:{number}: not a result row ({exc}); remedy: fresh=true begins anew") from exc
        if outcomes.get((key.cell_id, key.repeat)) != "ok":
            outcomes[key.cell_id, key.repeat] = key.status
    return outcomes


def _whole_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.endswith(b"\n"):
                yield number, line


class Journal:
    """Append rows to a journal, each durable when :meth:`append` returns.

    Raises CampaignError where the file cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        created = not path.exists()
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            self._cut_torn_line()
            if created:
                _sync_folder(path.parent)
        except OSError as exc:
            raise CampaignError(f"journal cannot be written ({exc}); remedy: results=PATH") from exc

    def append(self, row: Row) -> None:
        """Write `row` and wait until it is on the disk.

        Raises CampaignError where the disk refuses; the journal then ends before this row.
        """
        line = msgspec.json.encode(row) + b"\n"
        before = os.fstat(self._fd).st_size
        try:
            written = os.write(self._fd, line)
            if written != len(line):
                os.ftruncate(self._fd, before)
                raise CampaignError(
                    f"{self._path}: disk full after {written} of {len(line)} bytes; free some space and run again"
                )
            os.fsync(self._fd)
        except OSError as exc:
            os.ftruncate(self._fd, before)
            raise CampaignError(f"{self._path}: cannot write ({exc}); free some space and run again") from exc

    def close(self) -> None:
        """Close the file; appending is over."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        """Use the journal in a ``with`` statement."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the journal."""
        self.close()

    def _cut_torn_line(self) -> None:
        content_end = self._path.read_bytes().rfind(b"\n") + 1
        if content_end != os.fstat(self._fd).st_size:
            os.ftruncate(self._fd, content_end)
            os.fsync(self._fd)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
