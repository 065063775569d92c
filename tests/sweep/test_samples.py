"""The raw samples: on the disk with each run, a table when the condition ends, never lost nor twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from analysis.samples import read_samples
from stage_runtime.formats.cell import Cell
from stage_runtime.formats.samples import COLUMNS
from sweep.errors import CampaignError
from sweep.matrix import plan_matrix
from sweep.samples import Samples, take_up_leftovers, to_parquet
from tests.sweep.disk import disk_of
from tests.sweep.support import cell_of, options, samples_of, small_testbed

TESTBED = small_testbed()
_PLAN = plan_matrix(options(warmup=2), TESTBED, {"alexnet": tuple(range(1, 13))}, {})
CELLS = [cell_of(run, TESTBED) for run in _PLAN[0].runs]


def left_behind(folder: Path, *cells: Cell, first: int = 0) -> Path:
    """Append the cells' samples as a driver does that is killed before the condition ends."""
    samples = Samples(folder, "pair@lan")
    for cell in cells:
        samples.append(cell, samples_of(first=first))
    samples.close(failed=True)
    return folder / "samples" / "pair@lan.jsonl"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "samples").iterdir())


def test_lines_become_a_table_of_the_documented_columns(tmp_path: Path) -> None:
    samples = Samples(tmp_path, "pair@lan")
    for cell in CELLS:
        samples.append(cell, samples_of())
    assert names(tmp_path) == ["pair@lan.jsonl"]
    samples.close()
    assert names(tmp_path) == ["pair@lan-0001.parquet"]
    table = pq.read_table(tmp_path / "samples" / "pair@lan-0001.parquet")
    assert table.column_names == list(COLUMNS)
    assert table.num_rows == len(CELLS) * 2 * 9
    assert set(table["campaign"].to_pylist()) == {tmp_path.name}


def test_runs_without_samples_make_no_file(tmp_path: Path) -> None:
    samples = Samples(tmp_path, "pair@lan")
    samples.append(CELLS[0], ())
    samples.close()
    assert list(tmp_path.iterdir()) == []


def test_every_invocation_adds_a_table_and_overwrites_none(tmp_path: Path) -> None:
    for cell in CELLS[:3]:
        to_parquet(left_behind(tmp_path, cell))
    assert names(tmp_path) == [f"pair@lan-000{number}.parquet" for number in (1, 2, 3)]
    assert set(read_samples(tmp_path)["cell_id"]) == {cell.cell_id for cell in CELLS[:3]}


def test_what_a_killed_driver_left_is_taken_up(tmp_path: Path) -> None:
    path = left_behind(tmp_path, CELLS[0])
    with path.open("ab") as file:
        file.write(b'{"campaign": "c", "cell')
    before = read_samples(tmp_path)
    take_up_leftovers(tmp_path)
    assert names(tmp_path) == ["pair@lan-0001.parquet"]
    assert read_samples(tmp_path).equals(before)
    take_up_leftovers(tmp_path)
    assert names(tmp_path) == ["pair@lan-0001.parquet"]


def test_a_run_whose_row_was_never_written_counts_as_measured_later(tmp_path: Path) -> None:
    to_parquet(left_behind(tmp_path, CELLS[0], CELLS[1], first=0))
    left_behind(tmp_path, CELLS[1], first=1000)
    left_behind(tmp_path, CELLS[1], first=2000)
    found = read_samples(tmp_path)
    assert len(found) == 2 * 2 * 9
    starts = found[found["batch"] == 0].groupby("cell_id")["started_ns"].max().to_dict()
    assert starts == {CELLS[0].cell_id: 0, CELLS[1].cell_id: 2000}


def test_killed_between_table_and_removal_the_lines_make_no_run_twice(tmp_path: Path) -> None:
    path = left_behind(tmp_path, *CELLS)
    lines = path.read_bytes()
    to_parquet(path)
    once = read_samples(tmp_path)
    path.write_bytes(lines)
    take_up_leftovers(tmp_path)
    assert len(names(tmp_path)) == 2
    assert read_samples(tmp_path).equals(once)


def test_lines_that_a_crash_tore_are_gone_on_with(tmp_path: Path) -> None:
    path = left_behind(tmp_path, CELLS[0])
    path.write_bytes(path.read_bytes() + b"\0\0")
    left_behind(tmp_path, CELLS[1])
    assert set(read_samples(tmp_path)["cell_id"]) == {cell.cell_id for cell in CELLS[:2]}


def test_a_full_disk_is_an_error_and_leaves_whole_lines(tmp_path: Path) -> None:
    path = left_behind(tmp_path, CELLS[0])
    before = path.read_bytes()
    samples = Samples(tmp_path, "pair@lan")
    with disk_of(len(before) + 100), pytest.raises(CampaignError, match="free some space and run again"):
        samples.append(CELLS[1], samples_of())
    assert path.read_bytes() == before
    samples.append(CELLS[1], samples_of())
    samples.close(failed=True)
    assert len(path.read_bytes().splitlines()) == 2


def test_a_table_that_does_not_fit_leaves_the_lines(tmp_path: Path) -> None:
    path = left_behind(tmp_path, *CELLS)
    before = path.read_bytes()
    with disk_of(100), pytest.raises(CampaignError, match=r"pair@lan-0001\.parquet: cannot write"):
        to_parquet(path)
    assert names(tmp_path) == ["pair@lan.jsonl"]
    assert path.read_bytes() == before


def test_where_there_is_no_pyarrow_the_lines_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = left_behind(tmp_path, CELLS[0])
    monkeypatch.setattr("sweep.samples.find_spec", lambda _name: None)
    assert to_parquet(path) is None
    assert names(tmp_path) == ["pair@lan.jsonl"]
    assert len(read_samples(tmp_path)) == 2 * 9


def test_a_line_that_is_no_samples_is_an_error_with_its_file(tmp_path: Path) -> None:
    path = left_behind(tmp_path, CELLS[0])
    path.write_bytes(b"{}\n")
    with pytest.raises(CampaignError, match=r"pair@lan\.jsonl: holds a line that is no run's samples"):
        take_up_leftovers(tmp_path)
    assert path.exists()


def test_a_folder_that_cannot_be_made_is_a_campaign_error(tmp_path: Path) -> None:
    (tmp_path / "samples").touch()
    with pytest.raises(CampaignError, match="remedy: results=PATH"):
        Samples(tmp_path, "pair@lan").append(CELLS[0], samples_of())


def test_a_thousand_batches_take_little_room(tmp_path: Path) -> None:
    realistic: Any = samples_of(1000, first=4_000_000_000_000)
    samples = Samples(tmp_path, "pair@lan")
    samples.append(CELLS[0], realistic)
    lines = (tmp_path / "samples" / "pair@lan.jsonl").stat().st_size
    samples.close()
    assert (tmp_path / "samples" / "pair@lan-0001.parquet").stat().st_size < lines / 10
