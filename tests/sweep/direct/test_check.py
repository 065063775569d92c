"""Comparing outputs: what agrees, what does not, and what the command says of it; stages are made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from stage_runtime.formats.cell import Cell
from stage_runtime.formats.row import Measurement
from sweep.__main__ import main
from sweep.direct.check import Agreement, agreement
from tests.sweep.direct.test_field import MadeUp, Stages
from tests.sweep.support import bad, good

PLAIN = np.array([[1.0, 3.0, 2.0], [0.5, 0.0, -4.0]], dtype=np.float32)
WORDS = ["direct", "check", "model=alexnet", "devices=sbG1:cpu,sbG2:cuda"]


def test_equal_outputs_agree() -> None:
    assert agreement(PLAIN, PLAIN) == Agreement(0.0, same_classes=True)


def test_the_difference_is_in_parts_of_the_largest_value() -> None:
    told = agreement(PLAIN, PLAIN + np.float32(0.02))
    assert told.difference == pytest.approx(0.005, rel=1e-3)
    assert told.good
    assert not agreement(PLAIN, PLAIN * np.float32(1.05)).good


def test_other_classes_are_told() -> None:
    assert not agreement(PLAIN, PLAIN[:, ::-1]).same_classes


@pytest.mark.parametrize("output", [PLAIN[:1], PLAIN * np.nan, PLAIN + np.inf])
def test_what_cannot_be_compared_agrees_in_nothing(output: np.ndarray) -> None:
    assert not agreement(PLAIN, output).good


class Giving(MadeUp):
    """A stage whose outputs are those that a test gives to splits."""

    outputs: Callable[[Cell], np.ndarray | None]

    def run(self, cell: Cell, _cancelled: Callable[[], bool], save_output: Path | None = None) -> Measurement:
        assert save_output is not None
        found = self.outputs(cell)
        if found is None:
            return bad("sbG2")
        self.all.ran.append(cell)
        save_file({"output": found}, save_output)
        return good()


class GivingStages(Stages):
    outputs: Callable[[Cell], np.ndarray | None] = staticmethod(lambda _cell: PLAIN)

    def __call__(self, config: object, *_others: object) -> Giving:
        stage = Giving(self, config)
        stage.outputs = self.outputs
        return stage


@pytest.fixture
def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: list[str]) -> GivingStages:
    assert made == []
    found = GivingStages()
    monkeypatch.setattr("sweep.direct.field.Stage", found)
    monkeypatch.setattr("sweep.direct.check.LOCKS", tmp_path)
    return found


def test_devices_that_agree_are_0(stages: GivingStages, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(WORDS) == 0
    assert [cell.split for cell in stages.ran] == ["only:sbG1", "only:sbG2", "P7"]
    assert capsys.readouterr().out.count(": agrees, ") == 3
    assert sorted(stages.stopped) == ["sbG1", "sbG2"]


def test_a_device_that_disagrees_is_1_and_named(stages: GivingStages, capsys: pytest.CaptureFixture[str]) -> None:
    stages.outputs = lambda cell: PLAIN * np.float32(1.0 if cell.split == "only:sbG1" else 1.2)
    assert main(WORDS) == 1
    said = capsys.readouterr().out
    assert "alexnet only:sbG1: agrees" in said
    assert "alexnet only:sbG2: DISAGREES" in said


def test_a_cell_that_fails_is_1_with_its_reason(stages: GivingStages, capsys: pytest.CaptureFixture[str]) -> None:
    stages.outputs = lambda cell: None if cell.split == "P7" else PLAIN
    assert main(WORDS) == 1
    assert "alexnet P7: FAILED: it broke" in capsys.readouterr().out


def test_a_stage_that_does_not_come_up_is_1(stages: GivingStages, capsys: pytest.CaptureFixture[str]) -> None:
    stages.refused["sbG2"] = "accelerator cuda:0 is not there"
    assert main(WORDS) == 1
    assert "sbG2: accelerator cuda:0 is not there" in capsys.readouterr().out
