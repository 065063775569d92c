"""The command: what its options make, and what it shows of rows that are there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from bench.contest.baseline import BASELINE, read_baseline
from bench.contest.command import build_parser, contest_for, main
from bench.contest.sides import SPLITS
from bench.own_devices import OwnDevices
from bench.pickle_chain.orders import Answer, Order
from sweep.interrupt import Control
from tests.bench.contest.made import make_nothing
from tests.bench.contest.test_baseline import FIRST, SECOND
from tests.bench.contest.test_compare import pickled, rows
from tests.sweep.support import FakePlays, device, small_testbed


def test_without_options_everything_is_measured() -> None:
    one = contest_for(build_parser().parse_args([]))
    assert one.splits == SPLITS
    assert (one.batch, one.repeats, one.fresh) == (8, 3, False)


def test_quick_is_one_repeat_of_two_splits() -> None:
    one = contest_for(build_parser().parse_args(["--quick", "--models", "alexnet", "--networks", "lan,mbit5"]))
    assert one.repeats == 1
    assert one.splits == {"alexnet": {name: SPLITS["alexnet"][name][:2] for name in ("lan", "mbit5")}}
    assert contest_for(build_parser().parse_args(["--quick", "--repeats", "3"])).repeats == 3


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


class FakeWorkers(contextlib.AbstractContextManager["FakeWorkers"]):
    """Stands in for the processes on two devices: every run of the baseline gives the same."""

    def __init__(self, names: tuple[str, str], *_told: Any) -> None:
        assert names == ("d1", "d2")

    def __exit__(self, *_about: object) -> None:
        """Have nothing to end."""

    def run(self, first: Order, second: Order, timeout_s: float) -> tuple[Answer, Answer]:
        assert (first.part, second.part) == ("first", "second")
        assert timeout_s > 0
        return Answer(first=FIRST), Answer(second=SECOND)


def test_the_command_measures_compares_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plays = FakePlays()

    @contextlib.contextmanager
    def devices(count: int, chains: Any, networks: Any) -> Iterator[OwnDevices]:
        assert count == 2
        named = {name: device(name) for name in ("d1", "d2")}
        testbed = small_testbed(devices=named, chains=dict(chains), networks=dict(networks))
        yield OwnDevices(cast("Any", None), testbed)

    make_nothing(monkeypatch, plays, tmp_path)
    monkeypatch.setattr("bench.contest.command.own_devices", devices)
    monkeypatch.setattr("bench.contest.command.Workers", FakeWorkers)
    monkeypatch.setattr("bench.contest.command.obey_signals", Control)
    results = tmp_path / "results"
    words = ["--models", "alexnet", "--networks", "lan", "--splits", "alexnet:6", "--results", str(results)]
    assert main([*words, "--repeats", "2"]) == 0
    assert "eager over TCP against the pickle transport" in capsys.readouterr().out
    (folder,) = results.iterdir()
    assert len(read_baseline(folder)) == 2 * 2
    once = len(plays.measured)
    assert once == 2 * (4 * 2 + 3 * 2)
    assert main([*words, "--repeats", "3"]) == 0, "more repeats extend the campaign"
    assert list(results.iterdir()) == [folder]
    assert len(plays.measured) == once * 3 // 2
    assert len(read_baseline(folder)) == 2 * 3
    text = (folder / "bench.md").read_text()
    # 13 ms here, as good() says, against the baseline's median of 20 ms
    assert "| eager over TCP against the pickle transport | lan | response | 1.54 [1.54, 1.54] (P6 / P6) |" in text


def test_nothing_to_compare_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only-show", str(tmp_path)]) == 0
    assert "nothing to compare" in capsys.readouterr().out
