"""A user's model in a control node's cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from stage_runtime.formats.manifest import Manifest
from tests.stage_runtime.graphs.making import make_model


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def small(tmp_path: Path) -> Manifest:
    """Make the shards of the small model in the test's folder."""
    return make_model(tmp_path, "small")
