"""Progress: the count, the time left, and what a line says."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest
from rich.console import Console

from stage_runtime.formats.row import Row
from sweep.matrix import plan_matrix
from sweep.progress import LineScreen, Tally, clock, clock_span, count_span
from sweep.rich_screen import RichScreen
from sweep.settling import Span
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


def test_bounds_are_written_once_where_they_are_one() -> None:
    assert clock_span(Span(50, 160)) == "0:50 to 2:40"
    assert clock_span(Span(50.1, 50.2)) == "0:50"
    assert count_span(Span(48.0, 160.0)) == "48-160"
    assert count_span(Span(4.0, 4)) == "4"


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    time = [1000.0]
    monkeypatch.setattr("sweep.progress.time.monotonic", lambda: time[0])
    return time


class Left:
    """What is left of cell `c`, whose row changes it; a fixed number of runs unless told otherwise."""

    def __init__(self, *spans: tuple[int, int]) -> None:
        self.spans = list(spans)

    def __call__(self, cell_id: str) -> Span:
        assert cell_id == ROW.cell_id
        return Span(*(self.spans.pop(0) if len(self.spans) > 1 else self.spans[0]))


ROW = some_row()


def tally_of(seconds: float, *spans: tuple[int, int]) -> Tally:
    return Tally({ROW.cell_id: seconds}, Left(*spans))


def test_the_time_left_follows_how_wrong_the_estimate_was(now: list[float]) -> None:
    tally = tally_of(1000.0, (4, 4), (3, 3), (2, 2), (1, 1), (0, 0))
    now[0] += 500.0
    tally.begin()
    assert tally.left_s() == Span(4000.0, 4000.0), "nothing is known yet, and getting ready does not count"
    now[0] += 1985.0
    tally.count(ROW)
    assert tally.left_s() == Span(3000.0 * 2015 / 1030, 3000.0 * 2015 / 1030)
    now[0] += 15.0
    tally.count(ROW)
    assert tally.left_s().least == 2000.0 * 2030 / 2030
    tally.count(ROW)
    tally.count(ROW)
    assert tally.left_s() == Span(0.0, 0.0)


def test_one_slow_run_says_little(now: list[float]) -> None:
    tally = tally_of(10.0, (4, 4), (3, 3))
    now[0] += 20.0
    tally.count(ROW)
    assert tally.left_s().least == 30.0 * 50 / 40, "twice as slow, but for 10 s alone"


def test_runs_and_time_are_given_between_bounds_that_close_in(now: list[float]) -> None:
    tally = tally_of(30.0, (3, 10), (2, 9), (1, 8), (1, 7), (0, 0))
    assert tally.total == Span(3, 10)
    assert tally.state() == "0 of 3-10 runs, 1:30 to 5:00 left"
    for _ in range(3):
        now[0] += 30.0
        tally.count(ROW)
    assert tally.total == Span(4, 10)
    assert tally.state() == "3 of 4-10 runs, 0:30 to 3:30 left"
    assert tally.describe(ROW).startswith("[ 3/4-10] ")
    now[0] += 30.0
    tally.count(ROW)
    assert tally.state() == "4 of 4 runs, 0:00 left"


def test_the_state_counts_and_names_what_is_not_ok(now: list[float]) -> None:
    tally = tally_of(10.0, (10, 10), (9, 9), (8, 8), (7, 7))
    now[0] += 10.0
    tally.count(ROW)
    assert tally.state() == "1 of 10 runs, 1:30 left"
    now[0] += 20.0
    tally.count(some_row(bad()))
    tally.count(some_row(bad(status="timeout")))
    assert tally.state() == "3 of 10 runs, 2 not ok, 1:10 left"
    assert tally.by_status == {"ok": 1, "failed": 1, "timeout": 1}


def test_a_line_says_which_cell_and_what_came_of_it(now: list[float]) -> None:
    tally = tally_of(1.0, (120, 120), (119, 119))
    now[0] += 1.0
    tally.count(ROW)
    said = tally.describe(ROW)
    assert said == "[  1/120] alexnet pair lan tcp P3 window 1 batch 8: 12.5 ms, 80.0 images/s · 1:59 left"
    assert "batch" not in tally.describe(some_row(batch=1))
    assert "FAILED: it broke" in tally.describe(some_row(bad()))
    assert "TIMEOUT: it broke" in tally.describe(some_row(bad(status="timeout")))
    assert "OK: " in tally.describe(some_row(good(latency_ms=None))), "a row without figures does not end the sweep"


def test_repeats_are_told_apart() -> None:
    assert "repeat 2" in tally_of(1.0, (1, 1)).describe(msgspec.structs.replace(ROW, repeat=2))
    assert "repeat" not in tally_of(1.0, (1, 1)).describe(ROW)


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
