"""The paper's split points lie where ParetoPipe published them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stage_runtime.errors import ModelError
from stage_runtime.models import zoo
from stage_runtime.models.names import PAPER
from stage_runtime.models.paper_blocks import paper_blocks
from stage_runtime.models.splitting import boundary_specs, split_into_blocks

Place = tuple[str, tuple[int, ...]]


def _published() -> dict[str, list[Place]]:
    places: dict[str, list[Place]] = {}
    for line in (Path(__file__).parent / "paper_index_map.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        model, point, last_module, shape = line.split()
        known = places.setdefault(model, [])
        known.append((last_module, tuple(int(edge) for edge in shape.split("x"))))
        assert len(known) == int(point)
    return places


def test_there_are_103_paper_split_points() -> None:
    assert sum(paper.split_points for paper in PAPER.values()) == 103
    assert {name: len(places) for name, places in _published().items()} == {
        name: paper.split_points for name, paper in PAPER.items()
    }


@pytest.mark.parametrize("name", PAPER)
def test_split_points_are_the_published_ones(name: str) -> None:
    size = PAPER[name].input_size
    blocks = split_into_blocks(name, zoo.build_on_meta(name), "paper", (3, size, size))
    specs = boundary_specs(name, blocks, torch.empty(1, 3, size, size, device="meta"))
    found = [(block.name, spec.shape) for block, spec in zip(blocks, specs, strict=True)]
    assert found == [*_published()[name], ("tail", (1000,))]
    for _, spec in zip(blocks, specs, strict=True):
        assert spec.dtype == "float32"
        assert spec.bytes_per_sample == 4 * torch.Size(spec.shape).numel()


def test_a_model_without_paper_split_points_is_refused() -> None:
    with pytest.raises(ModelError, match="resnet34 has no paper split points"):
        paper_blocks("resnet34", zoo.build_on_meta("resnet34"))


def test_inception_transforms_its_input_like_torchvision() -> None:
    model = zoo.build_seeded("inception_v3", 0, num_classes=10, transform_input=True).double()
    images = torch.randn(1, 3, 75, 75, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        transformed = model._transform_input(images)
        assert not torch.allclose(transformed, images)
        first = paper_blocks("inception_v3", model)[0].module
        assert torch.equal(first(images), model.Conv2d_1a_3x3(transformed))
