"""Progress: the count, the time left, and what a line says."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest
from rich.console import Console

from stage_runtime.formats.row import Row
from sweep.matrix import plan_matrix
from sweep.progress import LineScreen, RichScreen, Tally, clock
from tests.sweep.support import bad, good, options, row_of, small_testbed


def some_row(measurement: Any = None, **given: Any) -> Row:
    testbed = small_testbed()
    (plan,) = plan_matrix(options(splits="P3", **given), testbed, {"alexnet": tuple(range(1, 13))}, {})
    run = next(run for run in plan.runs if run.cell.split == "P3")
    return row_of(run, testbed, measurement)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (-5, "0:00"),
        (59.4, "0:59"),
        (59.6, "1:00"),
        (125, "2:05"),
        (3725, "1:02:05"),
        (360000, "100:00:00"),
    ],
)
def test_a_duration_is_written_as_a_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    time = [1000.0]
    monkeypatch.setattr("sweep.progress.time.monotonic", lambda: time[0])
    return time


def test_the_time_left_follows_how_wrong_the_estimate_was(now: list[float]) -> None:
    tally = Tally(4, 4000.0)
    now[0] += 500.0
    tally.begin()
    assert tally.left_s() == 4000.0, "nothing is known yet, and getting ready does not count"
    now[0] += 20.0
    tally.count("ok", 10.0)
    assert tally.left_s() == 3990.0 * 50 / 40, "twice as slow so far, but one cell says little"
    now[0] += 1980.0
    tally.count("ok", 990.0)
    assert tally.left_s() == pytest.approx(3000.0 * 2, rel=0.02), "twice as slow for long"
    tally.count("ok", 3000.0)
    assert tally.left_s() == 0.0
    tally.count("ok", 30.0)
    assert tally.left_s() == 0.0


def test_the_state_counts_and_names_what_is_not_ok(now: list[float]) -> None:
    tally = Tally(10, 100.0)
    now[0] += 10.0
    tally.count("ok", 10.0)
    assert tally.state() == "1 of 10 cells, 1:30 left"
    now[0] += 20.0
    tally.count("failed", 10.0)
    tally.count("timeout", 10.0)
    assert tally.state() == "3 of 10 cells, 2 not ok, 1:10 left"
    assert tally.by_status == {"ok": 1, "failed": 1, "timeout": 1}


def test_a_line_says_which_cell_and_what_came_of_it(now: list[float]) -> None:
    tally = Tally(120, 100.0)
    now[0] += 1.0
    tally.count("ok", 1.0)
    said = tally.describe(some_row())
    assert said == "[  1/120] alexnet pair lan P3 window 1 batch 8: 12.5 ms, 80.0 images/s · 1:39 left"
    assert "batch" not in tally.describe(some_row(batch=1))
    assert "FAILED: it broke" in tally.describe(some_row(bad()))
    assert "TIMEOUT: it broke" in tally.describe(some_row(bad(status="timeout")))
    assert "OK: " in tally.describe(some_row(good(latency_ms=None))), "a row without figures does not end the sweep"


def test_repeats_are_told_apart() -> None:
    row = msgspec.structs.replace(some_row(), repeat=2)
    assert "repeat 2" in Tally(1, 1.0).describe(row)
    assert "repeat" not in Tally(1, 1.0).describe(some_row())


def test_a_line_screen_writes_lines_alone() -> None:
    lines: list[str] = []
    screen = LineScreen(lines.append)
    screen.line("one")
    screen.state("running", 1, 2)
    screen.line("two")
    assert lines == ["one", "two"]


def test_a_rich_screen_without_a_terminal_writes_plain_lines() -> None:
    file = io.StringIO()
    with RichScreen(Console(file=file, force_terminal=False, width=40, highlight=False)) as screen:
        screen.state("1 of 2 [bold] cells", 1, 2)
        screen.line("a line with [brackets] that is longer than the console is wide")
    assert file.getvalue() == "a line with [brackets] that is longer than the console is wide\n"


def test_a_rich_screen_on_a_terminal_shows_the_state() -> None:
    file = io.StringIO()
    with RichScreen(Console(file=file, force_terminal=True, width=100, color_system=None)) as screen:
        screen.state("1 of 2 cells [/x]", 1, 2)
    assert "1 of 2 cells [/x]" in file.getvalue()
