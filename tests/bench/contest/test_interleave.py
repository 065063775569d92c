"""Jobs between cells: all of them, near the cells that they are compared with."""

from __future__ import annotations

import pytest

from bench.contest.interleave import Step, interleave
from tests.bench.contest.made import contest, planned_cells


@pytest.fixture(scope="module")
def steps() -> list[Step]:
    return interleave([cell for cell in planned_cells(contest()) if cell.network == "lan"])


def test_cells_keep_their_order(steps: list[Step]) -> None:
    cells = [cell for cell in planned_cells(contest()) if cell.network == "lan"]
    assert [cell for step in steps for cell in step.cells] == cells


def test_every_cut_has_a_job_of_each_kind_in_each_repeat(steps: list[Step]) -> None:
    keys = [job.key for step in steps for job in step.jobs]
    assert len(keys) == len(set(keys))
    wanted = {
        (model, "lan", f"P{point}", 8, one, repeat)
        for model, by_network in contest().splits.items()
        for point in by_network["lan"]
        for one in (True, False)
        for repeat in (0, 1)
    }
    assert set(keys) == wanted


def test_a_job_follows_cells_of_its_own_model_and_repeat(steps: list[Step]) -> None:
    for step in steps:
        around = {(cell.model, cell.repeat) for cell in step.cells}
        assert around == {(job.cell.model, job.cell.repeat) for job in step.jobs}
        assert len(step.jobs) == 1


def test_jobs_are_spread_evenly(steps: list[Step]) -> None:
    sizes = [len(step.cells) for step in steps if step.cells[0].model == "resnet18"]
    assert max(sizes) - min(sizes) <= 1


def test_the_order_of_jobs_changes_from_repeat_to_repeat_and_is_known_beforehand(steps: list[Step]) -> None:
    again = interleave([cell for cell in planned_cells(contest()) if cell.network == "lan"])
    assert steps == again
    orders = [[job.key[2:5] for step in steps for job in step.jobs if job.cell.repeat == repeat] for repeat in (0, 1)]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])


def test_cells_without_a_cut_have_no_jobs() -> None:
    cells = [cell for cell in planned_cells(contest()) if not cell.cut]
    assert cells
    assert all(step.jobs == () for step in interleave(cells))
