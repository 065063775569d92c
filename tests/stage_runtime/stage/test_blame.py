from __future__ import annotations

from pathlib import Path

import pytest

from stage_runtime.formats.cell import Cell
from stage_runtime.stage.blame import blame_alone, blame_batch, blame_figures, blame_setup
from stage_runtime.wire.messages import Phase, Progress
from tests.stage_runtime.stage.chain import made_up_manifest
from tests.stage_runtime.stage.processes import make_cell, stage_config


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    chain = [stage_config(tmp_path, tmp_path, number, b"x" * 16) for number in (1, 2, 3)]
    return make_cell(chain, made_up_manifest((1,)), (1, 2), timeout_s=7.0)


def told(*stages: tuple[Phase, int, int]) -> dict[int, Progress]:
    return {
        i: Progress(stage=i, phase=phase, received=received, computed=computed, sent=computed)
        for i, (phase, received, computed) in enumerate(stages)
    }


@pytest.mark.parametrize(
    ("seen", "device", "named"),
    [
        (told(("loading", 0, 0)), "dev1", "loading blocks [0, 1)"),
        (told(("waiting", 0, 0)), "dev2", "did not answer"),
        (told(("waiting", 0, 0), ("waiting", 0, 0)), "dev3", "did not answer"),
        (told(("waiting", 0, 0), ("waiting", 0, 0), ("loading", 0, 0)), "dev3", "loading blocks [2, 4)"),
    ],
)
def test_set_up(cell: Cell, seen: dict[int, Progress], device: str, named: str) -> None:
    error = blame_setup(cell, seen)
    assert (error.device, error.status) == (device, "timeout")
    assert named in error.reason
    assert "when the cell's 7 s were over" in error.reason


@pytest.mark.parametrize(
    ("seen", "device", "named"),
    [
        (told(("running", 6, 5), ("running", 5, 5), ("running", 5, 5)), "dev1", "still computing batch 5"),
        (told(("running", 6, 6), ("running", 5, 5), ("running", 5, 5)), "dev2", "had not received batch 5 from dev1"),
        (told(("running", 8, 8), ("running", 7, 6), ("running", 6, 5)), "dev3", "still computing batch 5"),
        (told(("running", 8, 8), ("running", 7, 6)), "dev3", "no sign of life"),
        (told(("running", 8, 8), ("running", 7, 7), ("running", 6, 6)), "dev3", "did not come back"),
    ],
)
def test_a_batch(cell: Cell, seen: dict[int, Progress], device: str, named: str) -> None:
    error = blame_batch(cell, seen, 5)
    assert error.device == device
    assert named in error.reason


@pytest.mark.parametrize(
    ("seen", "device", "named"),
    [
        (told(("alone", 2, 2), ("running", 2, 2), ("running", 2, 2)), "dev1", "still computing alone"),
        (told(("waiting", 2, 2), ("alone", 2, 2), ("running", 2, 2)), "dev2", "still computing alone"),
        (told(("waiting", 2, 2), ("waiting", 2, 2)), "dev3", "no sign of life"),
        (told(("waiting", 2, 2), ("waiting", 2, 2), ("running", 2, 2)), "dev3", "did not say"),
    ],
)
def test_a_round_alone(cell: Cell, seen: dict[int, Progress], device: str, named: str) -> None:
    error = blame_alone(cell, seen)
    assert (error.device, error.status) == (device, "timeout")
    assert named in error.reason


def test_figures(cell: Cell) -> None:
    assert blame_figures(cell, told(("finishing", 8, 8), ("running", 8, 8))).device == "dev2"
    assert blame_figures(cell, told(("finishing", 8, 8), ("finishing", 8, 8))).device == "dev3"
