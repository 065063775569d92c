"""Append lines to a file, each on the disk before it counts.

A line is appended and fsynced in one step.  A process killed in between leaves at most one torn
last line, which reading ignores and the next opening cuts off, so that such a file always parses.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from sweep.errors import CampaignError


class DurableLines:
    """A file of lines, open for appending.

    Raises CampaignError where the file cannot be opened for writing; `what` names it there.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        created = not path.exists()
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            self._cut_torn_line()
            if created:
                sync_folder(path.parent)
        except OSError as exc:
            raise CampaignError(f"{what} cannot be written ({exc}); remedy: results=PATH") from exc

    def append_line(self, content: bytes) -> None:
        """Write `content`, which holds no line break, and wait until it is on the disk.

        Raises CampaignError where the disk refuses; the file then ends before this line.
        """
        line = content + b"\n"
        before = os.fstat(self._fd).st_size
        try:
            written = os.write(self._fd, line)
            if written != len(line):
                os.ftruncate(self._fd, before)
                raise CampaignError(
                    f"{self.path}: disk full after {written} of {len(line)} bytes; free some space and run again"
                )
            os.fsync(self._fd)
        except OSError as exc:
            os.ftruncate(self._fd, before)
            raise CampaignError(f"{self.path}: cannot write ({exc}); free some space and run again") from exc

    def close(self) -> None:
        """Close the file; appending is over."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        """Use the file in a ``with`` statement."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _cut_torn_line(self) -> None:
        content_end = self.path.read_bytes().rfind(b"\n") + 1
        if content_end != os.fstat(self._fd).st_size:
            os.ftruncate(self._fd, content_end)
            os.fsync(self._fd)


def whole_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (number from 1, line) of a file that need not exist, without a torn last line."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.endswith(b"\n"):
                yield number, line


def sync_folder(folder: Path) -> None:
    """Wait until what was made, renamed or removed in `folder` is on the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
