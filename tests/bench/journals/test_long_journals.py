"""Long journals: what is made up, and that their analysis grows no faster than they do."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path
from typing import NamedTuple

from analysis.campaigns import Campaign
from analysis.compute import analyse
from analysis.frame import runs_frame
from analysis.reading import read_journals
from bench.journals.making import places, write_journal
from stage_runtime.formats.row import Row
from sweep.journal import read_rows

_MODELS = ("resnet18",)
_CELLS = len(list(places(_MODELS)))
# what reading may hold of a row, whose line is 4.5 KB
_MOST_BYTES_A_ROW = 3000


def test_the_matrix_is_as_large_as_its_description_says() -> None:
    assert len(list(places())) == 4600
    assert len(set(places())) == 4600


def test_further_rows_are_further_repeats_of_the_same_cells(tmp_path: Path) -> None:
    rows = list(read_rows(write_journal(tmp_path / "made", _CELLS + 3, _MODELS) / "journal.jsonl"))
    assert [row.repeat for row in rows] == [0] * _CELLS + [1] * 3
    assert len({row.cell_id for row in rows}) == _CELLS
    assert rows[0].cell_id == rows[_CELLS].cell_id
    assert rows[0].latency_ms != rows[_CELLS].latency_ms
    assert all(_is_whole(row) for row in rows)


def _is_whole(row: Row) -> bool:
    """Tell whether a row's stages cover the model in order, and its hops are the gaps between them."""
    ends = [stage.last for stage in row.stages]
    return [stage.first for stage in row.stages] == [0, *ends[:-1]] and len(row.hops) == len(row.stages) - 1


class _Took(NamedTuple):
    bytes_a_row: float
    cpu_s: float


def _take(folder: Path, repeats: int) -> _Took:
    rows = repeats * _CELLS
    folder = write_journal(folder / str(repeats), rows, _MODELS)
    campaigns = [Campaign(folder=folder, journal=folder / "journal.jsonl")]
    tracemalloc.start()
    runs_frame(read_journals(campaigns))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    begun = time.process_time()
    found = analyse(campaigns, read_journals(campaigns))
    assert len(found.runs) == rows
    return _Took(most / rows, time.process_time() - begun)


def test_reading_and_analysis_grow_no_faster_than_the_journal(tmp_path: Path) -> None:
    _take(tmp_path / "first", 2)  # imports, and what is made once
    few, many = _take(tmp_path, 3), _take(tmp_path, 12)
    assert many.bytes_a_row < _MOST_BYTES_A_ROW
    assert many.bytes_a_row < 1.1 * few.bytes_a_row
    # four times the rows; twice as much again would be no longer linear
    assert many.cpu_s < 2 * 4 * few.cpu_s
