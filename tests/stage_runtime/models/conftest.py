"""Shards of several models, made once for all tests that load them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from stage_runtime.formats.manifest import Granularity, Manifest
from stage_runtime.shards.make import make_shards
from stage_runtime.shards.requests import ShardRequest
from stage_runtime.shards.store import ShardStore
from tests.stage_runtime.models.comparing import MakeShards


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Leave the other core to whatever else runs; equality does not depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> MakeShards:
    """Make the shards of a model (ten classes, seed 0) and give the manifest and the folder."""
    folder = tmp_path_factory.mktemp("shards")

    def make(model: str, granularity: Granularity = "paper", **options: object) -> tuple[Manifest, Path]:
        request = ShardRequest(
            model=model,
            granularity=granularity,
            **{"weights": "seeded", "num_classes": 10, "seed": 0} | options,
        )
        return make_shards(request, ShardStore(folder))[0], folder

    return make
