"""Keep the raw samples of a condition's runs, each on the disk before its row is.

While the condition runs they are appended to a file of lines; when it ends, that becomes a Parquet
file.  What a killed driver left is taken up by the next one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from stage_runtime.formats.cell import Cell
from stage_runtime.formats.row import StageSamples
from stage_runtime.formats.samples import COLUMNS, FOLDER, RunSamples, columns_of
from sweep.errors import CampaignError
from sweep.lines import DurableLines, sync_folder, whole_lines

_LINES = ".jsonl"


class Samples:
    """The samples of one condition of the campaign in `folder`, named ``<chain>@<network>``.

    Raises CampaignError where they cannot be written.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._campaign = folder.name
        self._path = folder / FOLDER / f"{name}{_LINES}"
        self._lines: DurableLines | None = None

    def append(self, cell: Cell, stages: tuple[StageSamples, ...]) -> None:
        """Keep what a run of `cell` gave, if anything, and wait until it is on the disk."""
        if not stages:
            return
        if self._lines is None:
            make_folder(self._path.parent)
            self._lines = DurableLines(self._path, "samples")
        run = RunSamples(
            campaign=self._campaign, cell_id=cell.cell_id, repeat=cell.repeat, warmup=cell.warmup, stages=stages
        )
        self._lines.append_line(msgspec.json.encode(run))

    def close(self, *, failed: bool = False) -> None:
        """Turn the lines into a table; where the sweep `failed` they stay for the next invocation."""
        if self._lines is None:
            return
        self._lines.close()
        self._lines = None
        if not failed:
            to_parquet(self._path)


def make_folder(folder: Path) -> None:
    """Make the folder of samples.

    Raises CampaignError where that cannot be.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as exc:
        raise CampaignError(f"samples cannot be written ({exc}); remedy: results=PATH") from exc


def take_up_leftovers(folder: Path) -> None:
    """Turn what killed drivers left in the campaign's `folder` into tables."""
    for path in sorted((folder / FOLDER).glob(f"*{_LINES}")):
        to_parquet(path)


def to_parquet(lines: Path) -> Path | None:
    """Turn a file of lines into the next Parquet file of its name; give its path, None without a single run.

    Where there is no pyarrow the lines stay, which readers take as well.  Raises CampaignError where the disk
    refuses, or a line cannot be read.
    """
    if find_spec("pyarrow") is None:
        return None
    columns = columns_of(_read_lines(lines))
    taken = [int(path.stem.rpartition("-")[2]) for path in lines.parent.glob(f"{lines.stem}-*.parquet")]
    table = lines.with_name(f"{lines.stem}-{max(taken, default=0) + 1:04}.parquet")
    part = table.with_suffix(".part")
    try:
        if columns["cell_id"]:
            _write(columns, part)
            part.replace(table)
            sync_folder(table.parent)
        lines.unlink()
    except OSError as exc:
        part.unlink(missing_ok=True)
        raise CampaignError(f"{table}: cannot write ({exc}); free some space and run again") from exc
    return table if columns["cell_id"] else None


def _read_lines(path: Path) -> list[RunSamples]:
    try:
        return [msgspec.json.decode(line, type=RunSamples) for _, line in whole_lines(path)]
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise CampaignError(f"{path}: holds a line that is no run's samples ({exc}); remedy: remove it") from exc


def _write(columns: Mapping[str, list[object]], path: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415 - it takes a quarter of a second, and a machine may lack it
    import pyarrow.parquet as pq  # noqa: PLC0415 - see above

    types: Mapping[str, Any] = {"text": pa.string(), "count": pa.int32(), "flag": pa.bool_(), "instant": pa.int64()}
    schema = pa.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    # instants grow steadily, so their differences are small; measured: two thirds of what the defaults take
    instants = {name: "DELTA_BINARY_PACKED" for name, kind in COLUMNS.items() if kind == "instant"}
    words = [name for name, kind in COLUMNS.items() if kind == "text"]
    with path.open("wb") as file:
        table = pa.table(dict(columns), schema=schema)
        pq.write_table(table, file, compression="zstd", use_dictionary=words, column_encoding=instants)
        file.flush()
        os.fsync(file.fileno())
