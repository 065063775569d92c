from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stage_runtime.stage.chain import SHAPE, Chain, chain, write_cache


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Chain]:
    manifest, images = write_cache(tmp_path / "cache", SHAPE)
    with chain(tmp_path, tmp_path / "cache", 3) as devices:
        yield Chain(devices, manifest, images, tmp_path)
