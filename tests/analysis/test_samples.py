"""The raw samples as a table, whichever file holds them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pandas as pd
import pytest

from analysis.samples import read_samples
from stage_runtime.errors import FormatError
from stage_runtime.formats.row import StageSamples
from stage_runtime.formats.samples import COLUMNS, INSTANTS, RunSamples, columns_of


def run_of(*, repeat: int = 0, back: tuple[int, ...] = (5, 6, 7, 8)) -> RunSamples:
    instants = dict.fromkeys(set(INSTANTS) - {"back_ns"}, (1, 2, 3, 4))
    stages = (
        StageSamples(stage=0, device="a", discarded=1, back_ns=back, **instants),
        StageSamples(stage=1, device="b", discarded=1, **instants),
    )
    return RunSamples(campaign="c", cell_id="ab", repeat=repeat, warmup=1, stages=stages)


def write_lines(folder: Path, *runs: RunSamples, tail: bytes = b"") -> Path:
    path = folder / "samples" / "pair@lan.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(msgspec.json.encode(run) + b"\n" for run in runs) + tail)
    return path


def test_one_line_per_run_stage_and_batch(tmp_path: Path) -> None:
    write_lines(tmp_path, run_of(), run_of(repeat=1))
    found = read_samples(tmp_path)
    assert list(found.columns) == list(COLUMNS)
    assert len(found) == 2 * 2 * 4
    assert found["batch"].tolist() == [0, 1, 2, 3] * 4
    assert found["warmup"].tolist() == [True, True, False, False] * 4, "one asked for, one discarded"
    assert found["sent_ns"].tolist() == [1, 2, 3, 4] * 4


def test_only_the_first_stage_knows_when_a_result_is_back(tmp_path: Path) -> None:
    write_lines(tmp_path, run_of())
    found = read_samples(tmp_path)
    assert found[found["stage"] == 0]["back_ns"].tolist() == [5, 6, 7, 8]
    assert found[found["stage"] == 1]["back_ns"].isna().all()


def test_a_table_and_lines_are_read_alike_and_the_later_run_counts(tmp_path: Path) -> None:
    lines = write_lines(tmp_path, run_of(), run_of(repeat=1))
    from_lines = read_samples(tmp_path)
    pd.DataFrame(columns_of([run_of(), run_of(repeat=1)])).to_parquet(tmp_path / "samples" / "pair@lan-0001.parquet")
    lines.unlink()
    pd.testing.assert_frame_equal(read_samples(tmp_path), from_lines)
    write_lines(tmp_path, run_of(repeat=1, back=(50, 60, 70, 80)))
    both = read_samples(tmp_path)
    assert len(both) == len(from_lines)
    again = both[(both["repeat"] == 1) & (both["stage"] == 0)]
    assert again["back_ns"].tolist() == [50, 60, 70, 80]


def test_a_torn_last_line_is_ignored_and_another_is_an_error(tmp_path: Path) -> None:
    write_lines(tmp_path, run_of(), tail=b'{"campaign"')
    assert len(read_samples(tmp_path)) == 2 * 4
    write_lines(tmp_path, run_of(), tail=b'{"campaign"\n')
    with pytest.raises(FormatError, match=r"pair@lan\.jsonl"):
        read_samples(tmp_path)


def test_a_campaign_without_samples_is_an_empty_table(tmp_path: Path) -> None:
    found = read_samples(tmp_path)
    assert list(found.columns) == list(COLUMNS)
    assert found.empty
    assert found.dtypes.equals(_dtypes_with_rows(tmp_path))


def _dtypes_with_rows(folder: Path) -> pd.Series[object]:
    write_lines(folder, run_of())
    return read_samples(folder).dtypes
