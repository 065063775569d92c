"""Runs that lost a device: what their rows say, and that they are made good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from msgspec import structs

from stage_runtime.formats.cell import Cell
from stage_runtime.formats.row import Measurement
from sweep.settling import Settling
from tests.sweep.conftest import Driver
from tests.sweep.support import bad, good, options
from tests.sweep.test_settling import CELL, RUNS, TESTBED, row_of, wanted


def lost(device: str = "v2") -> Measurement:
    return structs.replace(bad(device), lost=True, reason=f"no connection with {device} (any more)")


def losing(times: int) -> Callable[[Cell], Measurement]:
    """Lose the second device in the first runs of one cell."""
    left = [times]

    def measure(cell: Cell) -> Measurement:
        if cell.split == "P2" and left[0]:
            left[0] -= 1
            return lost()
        return good()

    return measure


def test_a_run_that_lost_its_device_ends_the_condition_and_is_made_good_by_the_same_sweep(drive: Driver) -> None:
    drive.plays.became = {"v1": "its stage runs", "v2": "its stage was killed, or crashed"}
    assert drive(losing(1), model="alexnet", chains="pair", networks="lan", splits="P1,P2", repeats=1) == 0
    rows = drive.rows
    (first,) = [row for row in rows if row.status != "ok"]
    assert (first.split, first.failed_device, first.lost) == ("P2", "v2", True)
    assert first.reason == "no connection with v2 (any more); v2: its stage was killed, or crashed"
    assert set(Counter((row.cell_id, row.repeat) for row in rows if row.status == "ok").values()) == {1}
    assert len({row.cell_id for row in rows if row.status == "ok"}) == 4
    assert len([call for call in drive.plays.calls if call[0] == "condition"]) == 2
    assert {row.silence_s for row in rows} == {15.0}


def test_nothing_is_run_behind_a_run_that_lost_its_device(drive: Driver) -> None:
    seen: list[str] = []

    def measure(_cell: Cell) -> Measurement:
        seen.append("cell")
        return lost() if seen.count("cell") == 1 else good()

    drive.plays.on_call = seen.append
    assert drive(measure, model="alexnet", chains="pair", networks="lan", splits="P1,P2", repeats=1) == 0
    first = seen.index("cell")
    assert seen[first + 1] != "cell", "first the devices are made ready and the condition is set anew"
    assert seen[first + 1 :].count("cell") == 4


def test_a_device_that_does_not_say_what_became_of_its_stage_is_named_all_the_same(drive: Driver) -> None:
    drive(losing(1), model="alexnet", chains="pair", networks="lan", splits="P2", repeats=1)
    (first,) = [row for row in drive.rows if row.lost]
    assert first.reason.endswith("; v2: it does not say what became of its stage")


def test_a_cell_that_loses_its_device_each_time_has_failed_and_the_others_are_run(drive: Driver) -> None:
    assert drive(losing(9), model="alexnet", chains="pair", networks="lan", splits="P1,P2", repeats=1) == 1
    counts = Counter((row.split, row.status) for row in drive.rows)
    assert counts == {("P2", "failed"): 2, ("P1", "ok"): 1, ("only:v1", "ok"): 1, ("only:v2", "ok"): 1}


@pytest.mark.parametrize(("losses", "left"), [(1, [0, 1, 2]), (2, [1, 2]), (3, [1, 2])])
def test_by_the_rows_alone_the_first_loss_leaves_the_repeat_to_be_run(losses: int, left: list[int]) -> None:
    rows = [row_of(RUNS[0], TESTBED, lost())] * losses
    found = Settling(options(repeats=3, most_repeats=3), rows)
    assert wanted(found) == left
    assert found.done(CELL) == 3 - len(left)


def test_a_loss_takes_back_no_run_that_is_ok() -> None:
    rows = [row_of(RUNS[0], TESTBED, measured) for measured in (lost(), good(), lost(), lost())]
    assert wanted(Settling(options(repeats=1, most_repeats=1), rows)) == []
