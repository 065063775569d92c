"""Cells that name an engine, run by stage processes on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from stage_runtime.formats.cell import EngineName
from stage_runtime.formats.manifest import Manifest
from stage_runtime.graphs.make import GraphMaker
from stage_runtime.models.loading import StageLoader
from tests.stage_runtime.graphs.making import every_range, make_images, make_model
from tests.stage_runtime.models.comparing import relative_error
from tests.stage_runtime.stage.processes import StageProcess, make_cell, stages


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    make_images(folder)
    return folder


@pytest.fixture(scope="module")
def manifest(cache: Path) -> Manifest:
    return make_model(cache, "small")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[list[StageProcess]]:
    with stages(tmp_path_factory.mktemp("pair"), cache, 2) as running:
        yield running


def test_without_its_graph_a_cell_fails_and_says_who_makes_it(pair: list[StageProcess], manifest: Manifest) -> None:
    """Runs before the graphs are made."""
    cell = make_cell([stage.config for stage in pair], manifest, (2,), engine="onnxruntime")
    measured = pair[0].run(cell)
    assert measured["status"] == "failed"
    assert "the control node makes it (python -m stage_runtime.graphs make)" in measured["reason"]


@pytest.mark.parametrize("engine", ["onnxruntime", "best", "channels_last", "eager"])
def test_a_split_model_gives_eagers_output_with_each_engine(
    pair: list[StageProcess], cache: Path, manifest: Manifest, tmp_path: Path, engine: EngineName
) -> None:
    GraphMaker(cache).make(manifest.manifest_id, every_range(manifest))
    saved = tmp_path / "output.safetensors"
    cell = make_cell([stage.config for stage in pair], manifest, (2,), engine=engine, window=2, batch=2, batches=2)
    measured = pair[0].run(cell, saved)
    assert measured["status"] == "ok", measured["reason"]
    used = [stage["engine"] for stage in measured["stages"]]
    assert used == [engine, engine] if engine != "best" else "best" not in used
    images = load_file(cache / "inputs" / "inputs.safetensors")["images"]
    whole = StageLoader(cache / "shards").load(manifest.manifest_id, 0, len(manifest.blocks))
    # the first two images are the warm-up's
    expected = torch.cat([whole.forward(images[[2, 3]]), whole.forward(images[[0, 1]])])
    assert relative_error(load_file(saved)["output"], expected) < 1e-4
