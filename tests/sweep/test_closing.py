"""What is said when a sweep is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stage_runtime.formats.row import Measurement
from sweep.closing import EXIT_CELLS_FAILED, EXIT_CELLS_MISSING, EXIT_OK, Closing, close_sweep
from sweep.matrix import Run, plan_matrix
from sweep.settling import Settling
from tests.sweep.support import bad, good, options, row_of, small_testbed

TESTBED = small_testbed()


def closing(measure: Any, **given: Any) -> Closing:
    asked = options(splits="P1-P8", **given)
    (plan,) = plan_matrix(asked, TESTBED, {"alexnet": tuple(range(1, 13))}, {})
    settling = Settling(asked)
    for run in plan.runs:
        measurement: Measurement | None = measure(run)
        if measurement is not None:
            settling.note(row_of(run, TESTBED, measurement))
    cells = {run.cell.cell_id: run.cell for run in plan.runs}
    return close_sweep(cells, settling, asked, Path("j"))


def wild(run: Run) -> Measurement:
    """Let P1 to P8 be the wilder the later the cut."""
    point = run.cell.cut[0] if run.cell.cut else 0
    return good(latency_ms=10.0 * (1 + 0.1 * point * (run.repeat % 2)))


@pytest.mark.parametrize(
    ("missing", "failed", "status", "more"),
    [
        ((), (), EXIT_OK, []),
        ((), ("P2",), EXIT_CELLS_FAILED, ["run the failed ones again with retry_failed=true"]),
        (("P1", "P3"), (), EXIT_CELLS_MISSING, ["the same command runs the missing ones"]),
        (
            ("P1",),
            ("P2",),
            EXIT_CELLS_MISSING,
            ["run the failed ones again with retry_failed=true", "the same command runs the missing ones"],
        ),
    ],
)
def test_cells_are_counted_and_the_status_is_that_of_the_worst(
    missing: tuple[str, ...], failed: tuple[str, ...], status: int, more: list[str]
) -> None:
    def measure(run: Run) -> Measurement | None:
        if run.cell.split in missing and run.repeat:
            return None
        return bad() if run.cell.split in failed else good()

    found = closing(measure, repeats=2)
    ok = 10 - len(missing) - len(failed)
    count = f"{ok} of 10 cells ok, {len(failed)} failed, {len(missing)} not run; j"
    assert found == Closing(lines=(count, *more), status=status)


def test_cells_at_the_limit_are_named_the_worst_first() -> None:
    found = closing(wild, repeats=2, most_repeats=4, window=1)
    assert found.status == EXIT_OK
    head = "2 cells settled within 5 %, 8 at the limit of most_repeats=4 with a half width of over 5 %: "
    assert found.lines[1].startswith(f"{head}alexnet pair lan tcp P8 window 1 batch 8 ±")
    assert found.lines[1].endswith(" and 3 more")
    places = [found.lines[1].index(f"tcp P{point} ") for point in (8, 7, 6, 5, 4)]
    assert places == sorted(places)


def test_where_all_are_settled_none_is_named() -> None:
    assert closing(lambda _run: good(), repeats=2, most_repeats=4).lines[1] == "10 cells settled within 5 %"


def test_a_fixed_number_of_repeats_has_no_target_to_miss() -> None:
    assert closing(wild, repeats=2, most_repeats=2).lines == ("10 of 10 cells ok, 0 failed, 0 not run; j",)
