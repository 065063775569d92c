"""What a device says of a stage that does not answer any more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stage_runtime.stage import obituary
from stage_runtime.stage.life import FILE, note_begin, note_end, read_life
from tests.stage_runtime.telemetry.machines import write


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """Lay out a machine without a stage."""
    write(tmp_path / "proc" / "vmstat", "oom_kill 4\n")
    write(tmp_path / "proc" / "1" / "cmdline", "init\0")
    return tmp_path / "proc"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def stage_runs(proc: Path, run: Path, state: str) -> None:
    words = ("python", "-m", "stage_runtime.stage", "--config", str(run / "stage.json"), "--tag", "x")
    write(proc / "77" / "cmdline", "\0".join(words))
    write(proc / "77" / "stat", f"77 (python) 3 (x)) {state} 1 77 77 0\n")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("T", "its stage (process 77) stands still: it was stopped by a signal (SIGSTOP)"),
        ("D", "its stage (process 77) hangs in the kernel"),
        ("S", "its stage (process 77) runs, so the link to it was down"),
    ],
)
def test_a_stage_that_is_there_is_described_by_its_state(proc: Path, run: Path, state: str, said: str) -> None:
    stage_runs(proc, run, state)
    assert obituary.cause(run, proc).startswith(said)


def test_a_stage_of_another_configuration_is_not_this_one(proc: Path, run: Path) -> None:
    stage_runs(proc, run.parent / "other", "T")
    assert obituary.cause(run, proc) == "no stage has been running there"


def test_a_stage_that_ended_by_itself_said_why(proc: Path, run: Path) -> None:
    note_begin(run)
    note_end(run, "SIGTERM")
    assert obituary.cause(run, proc) == "its stage ended: SIGTERM"


def test_a_stage_that_was_killed_has_last_words(proc: Path, run: Path) -> None:
    write(run / FILE, '{"pid": 5, "memory_kills": 4}')
    assert obituary.cause(run, proc) == "its stage was killed, or crashed"
    write(run / "stage.out", "Fatal Python error:\n Segmentation fault\n")
    assert obituary.cause(run, proc).endswith("or crashed; it said: Fatal Python error: Segmentation fault")


def test_a_kill_for_lack_of_memory_is_told_from_others(proc: Path, run: Path) -> None:
    write(run / FILE, '{"pid": 5, "memory_kills": 3}')
    assert obituary.cause(run, proc) == "its stage was killed by the kernel because the device was out of memory"


def test_the_command_prints_one_line_of_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert obituary.main([str(run)]) == 0
    assert capsys.readouterr().out == '{"cause": "no stage has been running there"}\n'


def test_an_older_stage_does_not_speak_for_its_successor(run: Path) -> None:
    note_begin(run)
    mine = read_life(run)
    assert mine is not None
    assert (mine.pid, mine.ended) == (os.getpid(), None)
    write(run / FILE, '{"pid": 5, "memory_kills": 3}')
    note_end(run, "SIGTERM")
    successor = read_life(run)
    assert successor is not None
    assert successor.ended is None


def test_a_file_that_cannot_be_written_or_read_is_no_reason_to_fail(run: Path) -> None:
    note_begin(run / "nowhere")
    assert read_life(run / "nowhere") is None
    write(run / FILE, "torn")
    assert read_life(run) is None
