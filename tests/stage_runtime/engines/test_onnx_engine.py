"""ONNX Runtime gives what eager PyTorch gives, from the same shards, and says what it lacks."""

from __future__ import annotations

import builtins
import gc
import importlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from stage_runtime.engines.onnx import OnnxEngine
from stage_runtime.errors import EngineError, ModelError, ShardError
from stage_runtime.formats.manifest import Granularity, Manifest
from stage_runtime.graphs.make import GraphMaker
from stage_runtime.graphs.places import graph_path
from stage_runtime.models import zoo
from stage_runtime.models.loading import StageLoader
from stage_runtime.models.names import PAPER
from stage_runtime.shards.make import make_shards
from stage_runtime.shards.requests import ShardRequest
from stage_runtime.shards.store import ShardStore
from tests.stage_runtime.graphs.making import every_range
from tests.stage_runtime.models.comparing import enliven, mark_long, relative_error

Graphed = tuple[Path, Manifest]

_PIXELS = 96  # the smallest round number that InceptionV3 takes
# Fresh weights that already tell inputs apart, and that take seconds to move because they are many.
_ALIVE = frozenset({"alexnet", "vgg16"})
_TRACED = ("shufflenet_v2_x0_5", "vit_b_32", "densenet121")
_LONG = frozenset({"inception_v3", "resnet50", "vgg16", "vit_b_32", "densenet121"})


@pytest.mark.parametrize(
    ("name", "granularity"),
    mark_long([*((name, "paper") for name in PAPER), *((name, "all") for name in _TRACED)], _LONG),
)
def test_every_cut_gives_eagers_output(name: str, granularity: Granularity, tmp_path: Path) -> None:
    model = zoo.build_seeded(name, 0, num_classes=10, image_size=_PIXELS)
    weights = tmp_path / "weights.safetensors"
    if name not in _ALIVE:
        enliven(model, _PIXELS, 6)
        save_file(model.state_dict(), weights)
    request = ShardRequest(
        model=name,
        granularity=granularity,
        weights="seeded" if name in _ALIVE else str(weights),
        num_classes=10,
        seed=0,
        input_size=_PIXELS,
    )
    manifest, _ = make_shards(request, ShardStore(tmp_path / "shards"))
    count = len(manifest.blocks)
    points = manifest.split_points if granularity == "paper" else manifest.split_points[::5]
    ranges = [(0, count), *((0, point) for point in points), *((point, count) for point in points)]
    GraphMaker(tmp_path).make(manifest.manifest_id, ranges)
    images = torch.randn(2, 3, _PIXELS, _PIXELS, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        expected = model(images.clone())
    # a network that forgets its input would give equal outputs however it is cut
    assert relative_error(expected[:1], expected[1:]) > 1e-3
    engine = OnnxEngine(tmp_path / "shards", "cpu", 1)
    assert relative_error(engine.load(manifest.manifest_id, 0, count, 2).forward(images), expected) < 1e-4
    for point in points:
        crossing = engine.load(manifest.manifest_id, 0, point, 2).forward(images)
        found = engine.load(manifest.manifest_id, point, count, 2).forward(crossing)
        assert relative_error(found, expected) < 1e-4, f"{name} cut at {point}"


def test_every_range_gives_eagers_output_and_leaves_its_input_as_it_is(graphed: Graphed) -> None:
    shards, manifest = graphed
    engine, eager = OnnxEngine(shards, "cpu", 1), StageLoader(shards)
    for first, last in every_range(manifest):
        stage = eager.load(manifest.manifest_id, first, last)
        for batch in (1, 3):
            shape, dtype = stage.input_spec(batch)
            images = torch.randn(shape, generator=torch.Generator().manual_seed(first), dtype=dtype)
            kept = images.clone()
            expected = stage.forward(images)
            found = engine.load(manifest.manifest_id, first, last, batch).forward(images)
            assert relative_error(found, expected) < 1e-5, f"blocks [{first}, {last})"
            assert torch.equal(images, kept)


def test_an_output_stays_as_it_is_however_often_the_blocks_run(graphed: Graphed) -> None:
    shards, manifest = graphed
    blocks = OnnxEngine(shards, "cpu", 1).load(manifest.manifest_id, 0, 2, 2)
    outputs = [blocks.forward(torch.full((2, *manifest.input.shape), value)) for value in (1.0, 2.0, 3.0, 4.0)]
    again = [blocks.forward(torch.full((2, *manifest.input.shape), value)) for value in (1.0, 2.0, 3.0, 4.0)]
    assert all(torch.equal(one, other) for one, other in zip(outputs, again, strict=True))
    assert not torch.equal(outputs[0], outputs[1])
    assert len({output.data_ptr() for output in outputs}) == 4


def test_an_input_that_is_not_contiguous_is_read_right(graphed: Graphed) -> None:
    shards, manifest = graphed
    blocks = OnnxEngine(shards, "cpu", 1).load(manifest.manifest_id, 0, 2, 2)
    images = torch.randn(2, *manifest.input.shape)
    strided = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(blocks.forward(strided), blocks.forward(images))


def test_the_weights_are_those_of_the_shards(graphed: Graphed, tmp_path: Path) -> None:
    """Another shard under the same name gives another output: no weight is in the graph."""
    shards, manifest = graphed
    images = torch.randn(1, *manifest.input.shape)
    count = len(manifest.blocks)
    before = OnnxEngine(shards, "cpu", 1).load(manifest.manifest_id, 0, count, 1).forward(images)
    shutil.copytree(shards, tmp_path / "shards")
    last = tmp_path / "shards" / "blocks" / f"{manifest.blocks[-1].sha256}.safetensors"
    content = bytearray(last.read_bytes())
    content[-40:] = bytes(40)
    last.write_bytes(content)
    with pytest.raises(ShardError, match=r"is not usable \(content has the sha256"):
        OnnxEngine(tmp_path / "shards", "cpu", 1).load(manifest.manifest_id, 0, count, 1)
    assert not last.exists(), "so that another copy is brought"
    last.write_bytes(content)
    altered = OnnxEngine(tmp_path / "shards", "cpu", 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stage_runtime.engines.onnx.require_blocks", lambda *_given: None)
        after = altered.load(manifest.manifest_id, 0, count, 1).forward(images)
    assert not torch.equal(before, after)


def test_the_same_blocks_for_the_same_batch_stay_loaded_and_others_take_their_place(graphed: Graphed) -> None:
    shards, manifest = graphed
    engine = OnnxEngine(shards, "cpu", 1)
    blocks = engine.load(manifest.manifest_id, 0, 2, 1)
    assert engine.load(manifest.manifest_id, 0, 2, 1) is blocks
    other = engine.load(manifest.manifest_id, 0, 2, 2)
    assert other is not blocks
    held = [one for one in gc.get_objects() if type(one).__name__ == "InferenceSession"]
    assert len(held) == 1
    assert engine.load(manifest.manifest_id, 1, 1, 2).forward(held_input := torch.ones(2)) is held_input
    del held
    engine.release()
    gc.collect()
    assert not any(type(one).__name__ == "InferenceSession" for one in gc.get_objects())


def test_a_missing_graph_says_who_makes_it(graphed: Graphed, tmp_path: Path) -> None:
    shards, manifest = graphed
    shutil.copytree(shards, tmp_path / "shards")
    path = graph_path(tmp_path / "shards", manifest.manifest_id, 0, 1)
    engine = OnnxEngine(tmp_path / "shards", "cpu", 1)
    path.write_bytes(b"no graph")
    with pytest.raises(EngineError, match=r"ONNX Runtime .* cannot load .*0-1\.onnx"):
        engine.load(manifest.manifest_id, 0, 1, 1)
    path.unlink()
    with pytest.raises(EngineError, match=r"no graph of blocks \[0, 1\) at .*; the control node makes it"):
        engine.load(manifest.manifest_id, 0, 1, 1)


def test_a_range_that_the_model_does_not_have_is_refused(graphed: Graphed) -> None:
    shards, manifest = graphed
    with pytest.raises(ModelError, match=r"\[2, 99\) is no range of them"):
        OnnxEngine(shards, "cpu", 1).load(manifest.manifest_id, 2, 99, 1)


def test_a_gpu_and_a_missing_package_are_refused_with_the_remedy(
    graphed: Graphed, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards, manifest = graphed
    with pytest.raises(EngineError, match="computes on the CPU, and this stage on cuda:0; take engine channels_last"):
        OnnxEngine(shards, "cuda:0", 1).load(manifest.manifest_id, 0, 1, 1)
    real = importlib.import_module

    def without(name: str, *given: Any) -> Any:
        if name == "onnxruntime":
            raise builtins.ModuleNotFoundError("No module named 'onnxruntime'")
        return real(name, *given)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(EngineError, match=r"No module named 'onnxruntime'\); provision the device again"):
        OnnxEngine(shards, "cpu", 1).load(manifest.manifest_id, 0, 1, 1)
