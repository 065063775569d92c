"""A small model that lies on this machine as on a device."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import save_file

from stage_runtime.formats.manifest import Manifest
from stage_runtime.shards.make import make_shards
from stage_runtime.shards.requests import ShardRequest
from stage_runtime.shards.store import ShardStore

PIXELS = 32


class Cache(NamedTuple):
    folder: Path
    manifest: Manifest


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    folder = tmp_path_factory.mktemp("profiled")
    request = ShardRequest(
        model="mobilenet_v2", granularity="paper", weights="seeded", num_classes=10, seed=0, input_size=PIXELS
    )
    manifest = make_shards(request, ShardStore(folder / "shards"))[0]
    (folder / "inputs").mkdir()
    images = torch.randn(3, 3, PIXELS, PIXELS, generator=torch.Generator().manual_seed(3))
    save_file({"images": images}, folder / "inputs" / "inputs.safetensors")
    return Cache(folder, manifest)
