"""The tables of runs and stages: what they hold, whoever writes them and in however many pieces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow.parquet
import pytest

from analysis.frame import runs_frame, stages_frame
from analysis.run_tables import begin_run_tables, write_run_tables
from tests.analysis.journals import gather
from tests.analysis.synthetic import Plan, failed, make_row, make_rows

FILES = ("runs.csv", "runs.parquet", "stages.csv", "stages.parquet")


@pytest.fixture
def runs() -> pd.DataFrame:
    """Return runs of which the first have nothing where later ones have something."""
    bare = make_row(Plan(), "lan", "P3", 1, 9)
    bare = msgspec.structs.replace(bare, stages=(), hops=(), link=(), warnings=(), relative_error=None)
    told = msgspec.structs.replace(make_row(Plan(), "lan", "P3", 1, 8), warnings=('said "so", twice',), tls=True)
    return runs_frame(
        gather([failed(bare, "cut, off\nthere"), *make_rows(Plan(networks=("lan",), cuts=(3,), repeats=2)), told])
    )


def write(runs: pd.DataFrame, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    write_run_tables(runs, folder)
    return {name: (folder / name).read_bytes() for name in FILES}


def test_the_files_hold_what_the_frames_do(runs: pd.DataFrame, tmp_path: Path) -> None:
    write(runs, tmp_path / "out")
    read: dict[str, Callable[[Path], pd.DataFrame]] = {"csv": pd.read_csv, "parquet": pd.read_parquet}
    for name, frame in {"runs": runs, "stages": stages_frame(runs)}.items():
        for end, reader in read.items():
            found = reader(tmp_path / "out" / f"{name}.{end}")
            assert len(found) == len(frame)
            for column in found.columns:
                if pd.api.types.is_numeric_dtype(frame[column]):
                    assert found[column].tolist() == pytest.approx(frame[column].tolist(), nan_ok=True), column
        assert set(found.columns) == set(frame.columns)
    table = pd.read_csv(tmp_path / "out" / "runs.csv", keep_default_na=False)
    assert table["reason"].tolist() == runs["reason"].tolist()
    assert table["warnings"].tolist() == list(map(str, runs["warnings"]))
    assert not {"stages", "hops", "link", "batch_latency_ms"} & set(table.columns)
    nested = pyarrow.parquet.read_table(tmp_path / "out" / "runs.parquet")
    for name in ("stages", "hops", "link"):
        expected = [[_plain(record) for record in records] for records in runs[name]]
        assert [[_plain(record) for record in records] for records in nested[name].to_pylist()] == expected
    assert nested["batch_latency_ms"].to_pylist() == list(map(list, runs["batch_latency_ms"]))


def _plain(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in record.items()}


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_tables_are_the_same_written_in_pieces(
    runs: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    whole = write(runs, tmp_path / "whole")
    monkeypatch.setattr("analysis.run_tables._ROWS_AT_ONCE", rows)
    pieces = write(runs, tmp_path / "pieces")
    for name in FILES:
        if name.endswith(".csv"):
            assert pieces[name] == whole[name]
        else:
            one, other = (pd.read_parquet(tmp_path / folder / name) for folder in ("whole", "pieces"))
            assert one.map(str).equals(other.map(str))


def test_another_process_writes_the_same(runs: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = write(runs, tmp_path / "here")
    monkeypatch.setattr("analysis.run_tables._LEAST_ROWS", 1)
    monkeypatch.setattr("analysis.run_tables.os.sched_getaffinity", lambda _: {0, 1})
    (tmp_path / "there").mkdir()
    with begin_run_tables(runs, tmp_path / "there") as finish:
        finish()
    assert {name: (tmp_path / "there" / name).read_bytes() for name in FILES} == here


def test_what_another_process_cannot_write_is_an_error_here(
    runs: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.run_tables._LEAST_ROWS", 1)
    monkeypatch.setattr("analysis.run_tables.os.sched_getaffinity", lambda _: {0, 1})
    with begin_run_tables(runs, tmp_path / "nowhere") as finish, pytest.raises(FileNotFoundError, match=r"runs\.csv"):
        finish()
