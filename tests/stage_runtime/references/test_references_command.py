"""The control node's command for reference outputs: they are the unsplit model's, and are computed once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from stage_runtime.inputs.__main__ import main as make_inputs
from stage_runtime.models import zoo
from stage_runtime.references.__main__ import main
from stage_runtime.references.places import TENSOR
from stage_runtime.shards.__main__ import main as make_shards

SIZE = 64


def answer_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


@pytest.fixture
def ids(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> tuple[str, str]:
    told = ["--model", "squeezenet1_1", "--granularity", "all", "--size", str(SIZE), "--num-classes", "10"]
    assert make_shards(["make", "--cache", str(tmp_path), *told]) == 0
    manifest_id = answer_of(capsys)["manifest_id"]
    assert make_inputs(["make", "--cache", str(tmp_path), "--size", str(SIZE), "--count", "6"]) == 0
    return manifest_id, answer_of(capsys)["inputs_id"]


def test_they_are_the_unsplit_models_outputs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, ids: tuple[str, str]
) -> None:
    told = ["make", "--cache", str(tmp_path), "--manifest-id", ids[0], "--inputs-id", ids[1]]
    assert main(told) == 0
    answer = answer_of(capsys)
    assert answer["changed"]
    outputs = load_file(answer["path"])[TENSOR]
    images = load_file(tmp_path / "inputs" / f"{ids[1]}.safetensors")["images"]
    with torch.inference_mode():
        expected = zoo.build_seeded("squeezenet1_1", 0, num_classes=10)(images)
    assert outputs.shape == (6, 10)
    assert torch.allclose(outputs, expected, rtol=1e-5, atol=1e-6)
    written = Path(answer["path"]).stat().st_mtime_ns
    assert main(told) == 0
    assert not answer_of(capsys)["changed"]
    assert Path(answer["path"]).stat().st_mtime_ns == written


def test_images_of_another_size_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, ids: tuple[str, str]
) -> None:
    assert make_inputs(["make", "--cache", str(tmp_path), "--size", "32", "--count", "2"]) == 0
    inputs_id = answer_of(capsys)["inputs_id"]
    assert main(["make", "--cache", str(tmp_path), "--manifest-id", ids[0], "--inputs-id", inputs_id]) == 1
    assert "images of (3, 32, 32), squeezenet1_1 takes (3, 64, 64)" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, ids: tuple[str, str]
) -> None:
    assert main(["make", "--cache", str(tmp_path), "--manifest-id", "absent", "--inputs-id", ids[1]]) == 1
    assert capsys.readouterr().err.startswith("error: ")
