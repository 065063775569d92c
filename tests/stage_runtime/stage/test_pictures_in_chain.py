"""A first stage without blocks sends pictures on; in 8 bits they lose nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from stage_runtime.inputs.pictures import PICTURES
from tests.stage_runtime.stage.chain import IMAGES, Chain, chain, expected_output, write_cache

SHAPE = (3, 40, 40)


@pytest.fixture
def pictured(tmp_path: Path) -> Iterator[Chain]:
    """Run a chain of two whose images are dark pictures, of which no channel reaches from black to white."""
    manifest, _ = write_cache(tmp_path / "cache", SHAPE)
    codes = np.random.default_rng(0).integers(3, 171, (IMAGES, *SHAPE))
    step, least = (numbers.reshape(-1, 1, 1) for numbers in PICTURES)
    images = torch.from_numpy((codes * step + least).astype(np.float32))
    save_file({"images": images}, tmp_path / "cache" / "inputs" / "inputs.safetensors")
    with chain(tmp_path, tmp_path / "cache", 2) as devices:
        yield Chain(devices, manifest, images, tmp_path)


def error_of(one: Chain, cut: tuple[int, ...], codec: str) -> float:
    """Run and give the largest error over the largest output."""
    saved = one.folder / "output.safetensors"
    cell = one.cell(cut, batch=4, batches=5, warmup=2, codec=codec)
    measured = one.devices[0].service.lead(cell, saved).measure()
    assert measured.status == "ok", measured.reason
    assert [hop.codec for hop in measured.hops] == [codec]
    expected = expected_output(one.images, 4, range(2, 7))
    return float((load_file(saved)["output"] - expected).abs().max() / expected.abs().max())


def test_pictures_lose_nothing_in_eight_bits(pictured: Chain) -> None:
    assert error_of(pictured, (0,), "int8") < 1e-6
    assert error_of(pictured, (0,), "fp16") > 1e-5


def test_what_blocks_made_of_them_does(pictured: Chain) -> None:
    assert error_of(pictured, (1,), "int8") > 1e-5


def test_inputs_that_are_no_pictures_are_rounded(pictured: Chain) -> None:
    noise = torch.randn(IMAGES, *SHAPE, generator=torch.Generator().manual_seed(0))
    save_file({"images": noise}, Path(pictured.devices[0].config.inputs_dir) / "noise.safetensors")
    pictured.images = noise
    saved = pictured.folder / "output.safetensors"
    cell = pictured.cell((0,), batch=4, batches=5, warmup=2, codec="int8", inputs_id="noise")
    measured = pictured.devices[0].service.lead(cell, saved).measure()
    assert measured.status == "ok", measured.reason
    expected = expected_output(noise, 4, range(2, 7))
    error = float((load_file(saved)["output"] - expected).abs().max() / expected.abs().max())
    assert 1e-5 < error < 0.01
