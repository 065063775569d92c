"""Every split of every model gives the unsplit model's output.

The front part of a split is run by adding one block to the one before, from a copy of what that gave;
the back part is run whole.  So every part that a device could be given is run, at half the cost.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stage_runtime.formats.manifest import Granularity
from stage_runtime.models import zoo
from stage_runtime.models.loading import StageLoader
from stage_runtime.models.names import PAPER
from stage_runtime.models.paper_blocks import named_chain
from stage_runtime.models.splitting import split_into_blocks
from tests.stage_runtime.models.comparing import MakeShards, enliven, mark_long, relative_error

# The smallest inputs that the models take, so that every split can be run whole in float64.
_SMALL = {"alexnet": 64, "inception_v3": 75, "vit_b_32": 64}
# Fresh weights that already tell inputs apart, and that take seconds to move because they are many.
_ALIVE = frozenset({"alexnet", "vgg16"})
# Of all that torchvision has, those whose traces differ most: dense and split concatenations,
# parallel branches, squeeze-and-excitation, layer scale, shifted windows, attention, wide groups.
ALL_MODELS = {
    "densenet121": 24,
    "googlenet": 25,
    "efficientnet_b0": 78,
    "convnext_tiny": 39,
    "swin_t": 40,
    "vit_b_32": 31,
    "shufflenet_v2_x0_5": 40,
    "regnet_y_400mf": 37,
}
_LONG = frozenset({"inception_v3", "resnet50", "vgg16", "densenet121", "efficientnet_b0", "swin_t", "vit_b_32"})


@pytest.mark.parametrize(
    ("name", "granularity", "points"),
    [(name, "paper", paper.split_points) for name, paper in PAPER.items()]
    + [(name, "all", points) for name, points in ALL_MODELS.items()],
)
def test_every_split_gives_the_same_output_in_float64(name: str, granularity: Granularity, points: int) -> None:
    size = _SMALL.get(name, 32)
    model = zoo.build_seeded(name, 1, num_classes=10, image_size=size)
    if name not in _ALIVE:
        enliven(model, size, 2)
    model.double()
    images = torch.randn(2, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    blocks = split_into_blocks(name, model, granularity, images.shape[1:])
    assert len(blocks) == points + 1
    with torch.inference_mode():
        expected = model(images.clone())
        # a network that forgets its input would give equal outputs however it is cut
        assert relative_error(expected[:1], expected[1:]) > 1e-3
        crossing = images
        for point in range(1, len(blocks)):
            # what crosses is a copy, as after a network: nothing else may connect the two parts
            crossing = blocks[point - 1].module(crossing.clone())
            rest = named_chain((str(index), block.module) for index, block in enumerate(blocks[point:]))
            assert relative_error(rest(crossing.clone()), expected) < 1e-12, f"{name} split at {point}"


@pytest.mark.parametrize(
    ("name", "granularity", "size"),
    mark_long(
        [
            *((name, "paper", paper.input_size) for name, paper in PAPER.items()),
            *((name, "all", 96) for name in ALL_MODELS),
        ],
        _LONG,
    ),
)
def test_every_split_gives_the_same_output_from_shards(
    name: str, granularity: Granularity, size: int, sharded: MakeShards, tmp_path: Path
) -> None:
    """Run each split in float32, at the manifest's input size, with one loader for each device."""
    weights = tmp_path / "weights.safetensors"
    model = zoo.build_seeded(name, 0, num_classes=10, image_size=size)
    if name not in _ALIVE:
        enliven(model, size, 6)
        save_file(model.state_dict(), weights)
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        expected = model(images[:1].clone())
        assert relative_error(model(images[1:]), expected) > 1e-3
    del model
    source = "seeded" if name in _ALIVE else str(weights)
    manifest, folder = sharded(name, granularity, input_size=size, weights=source)
    weights.unlink(missing_ok=True)
    front, back = StageLoader(folder), StageLoader(folder)
    crossing = images[:1]
    for point in manifest.split_points:
        stage = front.load(manifest.manifest_id, point - 1, point)
        crossing = stage.forward(crossing.clone())
        assert (crossing.shape, crossing.dtype) == stage.output_spec(1)
        received = crossing.clone()
        rest = back.load(manifest.manifest_id, point, len(manifest.blocks))
        assert (received.shape, received.dtype) == rest.input_spec(1)
        assert relative_error(rest.forward(received), expected) < 1e-5, f"{name} split at {point}"
        assert torch.equal(received, crossing), f"{name}: the stage from {point} on wrote to its input"
