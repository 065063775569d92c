"""The command: what its options make, and what it shows of rows that are there."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.contest.baseline import BASELINE
from bench.contest.command import build_parser, contest_for, main
from bench.contest.sides import SPLITS
from tests.bench.contest.test_compare import pickled, rows


def test_without_options_everything_is_measured() -> None:
    one = contest_for(build_parser().parse_args([]))
    assert one.splits == SPLITS
    assert (one.batch, one.repeats, one.fresh) == (8, 3, False)


def test_quick_is_one_repeat_of_two_splits() -> None:
    one = contest_for(build_parser().parse_args(["--quick", "--models", "alexnet", "--networks", "lan,mbit5"]))
    assert one.repeats == 1
    assert one.splits == {"alexnet": {name: SPLITS["alexnet"][name][:2] for name in ("lan", "mbit5")}}


def test_a_bad_option_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--models", "lenet"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: unknown model `lenet`")
    assert said.count("\n") == 1


@pytest.mark.parametrize(("option", "name"), [("--repeats", "repeats"), ("--batch", "batch")])
def test_a_number_out_of_range_is_refused(option: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([option, "0"]) == 2
    assert f"option `{name}`" in capsys.readouterr().err


def test_rows_that_are_there_are_shown_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "campaign"
    folder.mkdir()
    (folder / "journal.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows()))
    (folder / BASELINE).write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in pickled()))
    document = tmp_path / "performance.md"
    assert main(["--only-show", str(folder), "--document", str(document)]) == 0
    said = capsys.readouterr().out
    assert "3.00 [3.00, 3.00]" in said
    assert "lan, everything on: throughput at least 2.5 times, geometric mean: met" in said
    assert (folder / "bench.md").read_text() in document.read_text() + "\n"
    assert (folder / "bench.csv").read_text().startswith("comparison,network")
    assert "By `make bench`" in document.read_text()


def test_nothing_to_compare_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only-show", str(tmp_path)]) == 0
    assert "nothing to compare" in capsys.readouterr().out
