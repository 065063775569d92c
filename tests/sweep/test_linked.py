"""Cells are told what their links were measured to do."""

from __future__ import annotations

import pytest

from stage_runtime.formats.cell import Cell
from stage_runtime.formats.row import LinkDirection
from sweep.linked import tell_links
from sweep.matrix import plan_matrix
from tests.sweep.support import cell_of, options, small_testbed


def direction(source: str, target: str, bulk_mbit: float | None, rate_mbit: float | None = None) -> LinkDirection:
    return LinkDirection(
        source=source,
        target=target,
        backend="user",
        asked={},
        in_force={"rate_mbit": rate_mbit},
        rtt_ms=2.5,
        bulk_mbit=bulk_mbit,
    )


def cells_of(chain: str, splits: str) -> list[Cell]:
    testbed = small_testbed()
    (plan,) = plan_matrix(options(chains=chain, splits=splits), testbed, {"alexnet": tuple(range(1, 13))}, {})
    return [cell_of(run, testbed) for run in plan.runs]


@pytest.mark.parametrize(("bulk", "in_force", "told"), [(97.5, 100.0, 97.5), (None, 100.0, 100.0), (None, None, None)])
def test_each_stage_is_told_of_the_link_to_the_next(
    bulk: float | None, in_force: float | None, told: float | None
) -> None:
    (cell,) = [cell for cell in cells_of("trio", "P2+P5") if cell.cut]
    links = [direction("v1", "v2", bulk, in_force), direction("v2", "v1", 7.0), direction("v2", "v3", 5.0)]
    stages = tell_links(cell, links).stages
    assert [(stage.link_mbit, stage.link_rtt_ms) for stage in stages] == [(told, 2.5), (5.0, 2.5), (None, None)]


def test_an_unsplit_model_elsewhere_is_told_of_the_link_its_input_takes() -> None:
    only = {cell.split: cell for cell in cells_of("trio", "P2+P5") if not cell.cut}
    links = [direction("v1", "v3", 9.0)]
    assert [stage.link_mbit for stage in tell_links(only["only:v3"], links).stages] == [9.0, None]
    assert tell_links(only["only:v1"], links) == only["only:v1"]


def test_a_link_that_is_not_known_is_not_guessed() -> None:
    for cell in cells_of("pair", "P2"):
        assert tell_links(cell, []) == cell
