"""What the tests of graphs and of the engine that runs them make first."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from stage_runtime.formats.manifest import Manifest
from stage_runtime.graphs.make import Range
from stage_runtime.shards.make import make_shards
from stage_runtime.shards.requests import ShardRequest
from stage_runtime.shards.store import ShardStore


def make_model(cache: Path, function: str, size: int = 12) -> Manifest:
    """Make the shards of one of the user's models at granularity ``all``."""
    request = ShardRequest(
        model=f"tests.stage_runtime.graphs.user_models:{function}",
        granularity="all",
        weights="seeded",
        num_classes=10,
        seed=0,
        input_size=size,
    )
    return make_shards(request, ShardStore(cache / "shards"))[0]


def make_images(cache: Path) -> None:
    """Put four inputs for :func:`make_model`'s models into a new cache."""
    (cache / "inputs").mkdir()
    images = torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(3))
    save_file({"images": images}, cache / "inputs" / "inputs.safetensors")


def every_range(manifest: Manifest) -> list[Range]:
    """Give all ranges of a model's blocks."""
    count = len(manifest.blocks)
    return [(first, last) for first in range(count) for last in range(first + 1, count + 1)]
