"""Made-up profiles of one model on two devices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from analysis.profiles.costs import ModelCosts, find_costs
from analysis.profiles.find import read_profiles
from stage_runtime.formats.profile import BlockProfile, BlockTimes, ModelProfile, ModelTimes

INPUT_BYTES = 600 * 1024
# (name, output KiB, parameter KiB, ms of the two passes at batch 1, peak KiB at batch 1)
BLOCKS = (
    ("stem", 1600, 4, (3.0, 5.0), 2300),
    ("body", 300, 40, (9.0, 11.0), 4000),
    ("neck", 300, 400, (1.0, 1.0), 700),
    ("waist", 30, 100, (4.0, 0.0), 500),
    ("tail", 4, 4000, (1.0, 1.0), 100),
)


def make_profile(
    device: str, *, slower: float = 1.0, batches: Sequence[int] = (1, 8), marks: float = 1.0
) -> ModelProfile:
    """Make a profile; a batch takes as many times one image's time, and the passes without marks a `marks`-th."""
    return ModelProfile(
        model="made_up",
        granularity="paper",
        manifest_id="0123456789abcdef",
        inputs_id="inputs",
        device=device,
        engine="eager",
        accelerator="cpu",
        threads=1,
        processors=None,
        available_memory_bytes=2**30,
        torch="2",
        runtime="0",
        started="2026-01-01T00:00:00.000+00:00",
        elapsed_s=1.0,
        warmup=2,
        input_bytes_per_sample=INPUT_BYTES,
        batches=tuple(
            ModelTimes(
                batch=size,
                marked_ms=tuple(sum(block[3][run] for block in BLOCKS) * slower * size for run in range(2)),
                whole_ms=tuple(sum(block[3][run] for block in BLOCKS) * slower * size / marks for run in range(2)),
            )
            for size in batches
        ),
        blocks=tuple(
            BlockProfile(
                index=index,
                name=name,
                parameter_bytes=parameters * 1024,
                output_bytes_per_sample=output * 1024,
                batches=tuple(
                    BlockTimes(
                        batch=size,
                        times_ms=tuple(one * slower * size for one in times),
                        peak_activation_bytes=peak * 1024 * size,
                    )
                    for size in batches
                ),
            )
            for index, (name, output, parameters, times, peak) in enumerate(BLOCKS)
        ),
        warnings=(f"{device} was slow",) if slower != 1.0 else (),
    )


def write(folder: Path, *profiles: ModelProfile) -> Path:
    """Write profiles as the driver does."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in profiles:
        (folder / f"{one.device}.json").write_bytes(msgspec.json.encode(one))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "results" / "profiles" / "made_up-01234567"
    return write(target, make_profile("gpu1"), make_profile("pi1", slower=2, marks=1.01))


@pytest.fixture
def model(folder: Path) -> ModelCosts:
    return find_costs(read_profiles(folder))
