"""Which runs are still wanted, by the rows alone."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.intervals import relative_half_width
from stage_runtime.formats.row import Row
from sweep.matrix import plan_matrix
from sweep.settling import Settling, Span
from tests.sweep.support import bad, good, options, row_of, small_testbed

TESTBED = small_testbed()
ADAPTIVE: dict[str, Any] = {"repeats": 3, "most_repeats": 6, "target_percent": 5}


def runs_of(window: int = 1) -> list[Any]:
    plans = plan_matrix(options(window=window, most_repeats=6, batches=9), TESTBED, {"alexnet": (1, 2)}, {})
    first = plans[0].runs[0].cell.cell_id
    return [run for run in plans[0].runs if run.cell.cell_id == first]


RUNS, WIDE = runs_of(), runs_of(window=4)
CELL, WIDE_CELL = RUNS[0].cell.cell_id, WIDE[0].cell.cell_id
STEADY = (10.0, 10.1, 9.9, 10.0, 10.1, 9.9)


def rows_of(latencies: Sequence[float | None]) -> list[Row]:
    """Make one row per latency; None is a run that failed."""
    return [
        row_of(run, TESTBED, bad() if value is None else good(latency_ms=value))
        for run, value in zip(RUNS, latencies, strict=False)
    ]


def settling(latencies: Sequence[float | None], **given: Any) -> Settling:
    return Settling(options(**(ADAPTIVE | given)), rows_of(latencies))


def wanted(found: Settling, cell: str = CELL) -> list[int]:
    return [repeat for repeat in range(20) if found.wants(cell, repeat)]


@pytest.mark.parametrize(
    ("latencies", "left", "span"),
    [
        ([], [0, 1, 2, 3, 4, 5], (3, 6)),
        (STEADY[:2], [2, 3, 4, 5], (1, 4)),
        (STEADY[:3], [], (0, 0)),
        ((10, 20, 10), [3, 4, 5], (1, 3)),
        ((10, 20, 10, 20, 10), [5], (1, 1)),
        ((10, 20, 10, 20, 10, 20), [], (0, 0)),
        ((10, None, 10), [3, 4, 5], (1, 3)),
        ((10, None, 10, 10), [], (0, 0)),
        ((None, None), [2, 3, 4, 5], (1, 4)),
        ((None, None, None), [], (0, 0)),
        ((None, None, 10), [3, 4, 5], (2, 3)),
    ],
    ids=str,
)
def test_repeats_go_on_until_settled_given_up_or_at_the_limit(
    latencies: Sequence[float | None], left: list[int], span: tuple[int, int]
) -> None:
    found = settling(latencies)
    assert wanted(found) == left
    assert found.left(CELL) == Span(*span)
    assert found.done(CELL) == len(latencies)


@given(st.lists(st.one_of(st.none(), st.floats(9, 11)), max_size=6), st.floats(0.5, 20))
def test_what_is_left_is_bounded_by_the_rule(latencies: list[float | None], target: float) -> None:
    found = settling(latencies, target_percent=target)
    ok = [[value] for value in latencies if value is not None]
    settled = len(ok) >= 3 and relative_half_width(ok) <= target / 100
    given_up = not ok and len(latencies) >= 3
    assert wanted(found) == ([] if settled or given_up else list(range(len(latencies), 6)))
    least, most = found.left(CELL)
    assert most == len(wanted(found))
    assert (least > 0) == (most > 0)
    assert least <= most


def test_an_answer_does_not_depend_on_which_invocation_wrote_a_row() -> None:
    latencies = (10, 12, None, 10, 11)
    at_once = settling(latencies)
    bit_by_bit = settling(())
    for row in rows_of(latencies):
        bit_by_bit.note(row)
    assert wanted(at_once) == wanted(bit_by_bit)
    assert at_once.half_width(CELL) == bit_by_bit.half_width(CELL)


def test_a_tighter_target_or_more_repeats_want_more_and_a_wider_one_less() -> None:
    drifting = (10, 10.2, 10.4, 10.6)
    assert wanted(settling(drifting, target_percent=5)) == []
    assert wanted(settling(drifting, target_percent=1)) == [4, 5]
    assert wanted(settling(drifting, repeats=6)) == [4, 5]
    assert wanted(settling(drifting, most_repeats=8, target_percent=1)) == [4, 5, 6, 7]
    assert wanted(settling((10, 20, 10, 20), target_percent=1, most_repeats=4)) == []


def test_with_a_fixed_number_of_repeats_the_target_decides_nothing() -> None:
    assert wanted(settling((10, 10, 10), repeats=5, most_repeats=5)) == [3, 4]
    assert settling((10, 90, 10, 90, 10), repeats=5, most_repeats=5).state(CELL) == "settled"
    assert settling((10,), repeats=1, most_repeats=1).state(CELL) == "settled"


def test_a_fixed_number_of_repeats_needs_no_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "analysis.intervals", None)  # as on a machine without scipy
    found = settling((10, 10, 10), repeats=3, most_repeats=3)
    assert (wanted(found), found.left(CELL), found.state(CELL)) == ([], Span(0, 0), "settled")


def test_the_figure_is_latency_at_window_1_by_its_batches_and_throughput_above() -> None:
    def found(measure: Any) -> tuple[float, float]:
        both = Settling(options(**ADAPTIVE))
        for repeat, (one, wide) in enumerate(zip(RUNS, WIDE, strict=True)):
            both.note(row_of(one, TESTBED, measure(repeat)))
            both.note(row_of(wide, TESTBED, measure(repeat)))
        return both.half_width(CELL), both.half_width(WIDE_CELL)

    latency, throughput = found(lambda repeat: good(latency_ms=10.0 + repeat, throughput_ips=50.0))
    assert latency > 0
    assert throughput == pytest.approx(0, abs=1e-12)
    latency, throughput = found(lambda repeat: good(latency_ms=10.0, throughput_ips=50.0 + repeat))
    assert latency == pytest.approx(0, abs=1e-12)
    assert throughput > 0
    batches, _ = found(lambda repeat: good(batch_latency_ms=(9.0 + repeat, 10.0 + repeat, 50.0)))
    assert batches == pytest.approx(relative_half_width([[10.0 + repeat] for repeat in range(6)]))


def test_a_run_without_its_figure_counts_and_tells_nothing() -> None:
    found = Settling(options(**ADAPTIVE), [row_of(run, TESTBED, good(latency_ms=None)) for run in RUNS])
    assert wanted(found) == []
    assert math.isinf(found.half_width(CELL))
    assert found.state(CELL) == "at_limit"


@pytest.mark.parametrize(
    ("latencies", "state"),
    [
        ((10, 10), "missing"),
        (STEADY[:3], "settled"),
        ((10, 20, 10, 20, 10, 20), "at_limit"),
        ((10, None, 10, 10), "failed"),
        ((None, None, None), "failed"),
        ((None, None), "missing"),
    ],
    ids=str,
)
def test_a_cell_is_in_one_state(latencies: Sequence[float | None], state: str) -> None:
    assert settling(latencies).state(CELL) == state


def test_the_last_outcome_counts_and_ok_is_never_taken_back() -> None:
    one, two, three = RUNS[:3]
    rows = [row_of(one, TESTBED, bad()), row_of(two, TESTBED), row_of(three, TESTBED, bad(status="timeout"))]
    found = Settling(options(repeats=3), rows)
    assert found.state(CELL) == "failed"
    found.note(row_of(one, TESTBED))
    found.note(row_of(two, TESTBED, bad()))
    assert found.state(CELL) == "failed", "the third is still not ok"
    found.note(row_of(three, TESTBED))
    assert found.state(CELL) == "settled"


def test_failed_runs_are_wanted_again_once_where_that_is_asked_for() -> None:
    found = settling((10, None, 10, 10), retry_failed=True)
    assert wanted(found) == [1], "also of a cell that is settled"
    assert found.left(CELL) == Span(1, 1)
    found.note(row_of(RUNS[1], TESTBED, bad()))
    assert wanted(found) == []
    assert found.state(CELL) == "failed"


def test_a_cell_that_was_given_up_goes_on_when_its_retry_is_ok() -> None:
    found = settling((None, None, None), retry_failed=True)
    assert wanted(found) == [0, 1, 2]
    assert found.left(CELL) == Span(3, 6)
    found.note(row_of(RUNS[0], TESTBED))
    assert wanted(found) == [1, 2, 3, 4, 5]
    for run in RUNS[1:3]:
        found.note(row_of(run, TESTBED))
    assert wanted(found) == []
    assert found.state(CELL) == "settled"
