"""``profile.yml`` on real virtual devices, typed as a user types it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest

from stage_runtime.formats.profile import ModelProfile
from tests.virtual_devices import VirtualTestbed

pytestmark = pytest.mark.integration


def profile(bed: VirtualTestbed, results: Path, **options: str) -> subprocess.CompletedProcess[str]:
    given = {"model": "mobilenet_v2", "batch": "1,2", "passes": "3", "warmup": "1", "results": str(results), **options}
    return bed.play("profile.yml", *(word for pair in given.items() for word in ("-e", "=".join(pair))), check=False)


def test_a_device_that_is_not_there_does_not_lose_the_other_one(bed: VirtualTestbed, results: Path) -> None:
    done = profile(bed, results, devices="one,absent")
    assert done.returncode != 0
    assert "NOT PROFILED: all models on absent: unreachable" in done.stdout
    (path,) = results.glob("profiles/mobilenet_v2-*/*.json")
    found = msgspec.json.decode(path.read_bytes(), type=ModelProfile)
    assert (found.device, found.accelerator, found.threads, found.processors) == ("one", "cpu", 1, 1.0)
    assert len(found.blocks) == 19
    assert all(len(times.times_ms) == 3 for block in found.blocks for times in block.batches)
    assert 0 < found.available_memory_bytes < 2048 * 2**20
    assert "mobilenet_v2 · 19 blocks · batch 2" in done.stdout
    assert "one: blocks add up to" in done.stdout
    assert {drawn.name for drawn in path.parent.glob("report/*.png")} == {"block-times.png", "splits.png"}


def test_a_misspelt_option_touches_nothing(bed: VirtualTestbed, results: Path) -> None:
    done = profile(bed, results, pases="3")
    assert done.returncode != 0
    assert "did you mean `passes`" in done.stdout
    assert not results.exists()
