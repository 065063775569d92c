"""Models in a folder of shards, with their graphs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from stage_runtime.formats.manifest import Manifest
from stage_runtime.graphs.make import GraphMaker
from tests.stage_runtime.graphs.making import every_range, make_model


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Compute as a stage with one core does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def graphed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """Make a user's small model with every graph; give the folder of its shards and its manifest."""
    cache = tmp_path_factory.mktemp("graphed")
    manifest = make_model(cache, "small")
    GraphMaker(cache).make(manifest.manifest_id, every_range(manifest))
    return cache / "shards", manifest
