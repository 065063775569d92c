"""The journal: one result row a line, on the disk before it counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from stage_runtime.formats.row import Row
from sweep.errors import CampaignError
from sweep.lines import DurableLines, whole_lines


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a journal; a torn last line is ignored.

    Raises CampaignError for a whole line that is no row.
    """
    for number, line in whole_lines(path):
        try:
            yield msgspec.json.decode(line, type=Row)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise CampaignError(f"{path}:{number}: not a result row ({exc}); remedy: fresh=true begins anew") from exc


class Journal(DurableLines):
    """Append rows to a journal, each durable when :meth:`append` returns.

    Raises CampaignError where the file cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "journal")

    def append(self, row: Row) -> None:
        """Write `row` and wait until it is on the disk.

        Raises CampaignError where the disk refuses; the journal then ends before this row.
        """
        self.append_line(msgspec.json.encode(row))
