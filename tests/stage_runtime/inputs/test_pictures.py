"""Images are pictures of 8 bits a colour, and travel as such."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stage_runtime.codecs.affine import Affine
from stage_runtime.codecs.trial import try_codecs
from stage_runtime.inputs.photographs import prepare_images
from stage_runtime.inputs.pictures import DEVIATION, MEAN, PICTURES, are_pictures
from stage_runtime.inputs.requests import find_photographs
from stage_runtime.stage.inputs import Inputs
from stage_runtime.tensors import describe
from tests.stage_runtime.codecs.wired import through


def normalised(codes: np.ndarray) -> np.ndarray:
    """Normalise pictures as torchvision does, in float64 so that this is no copy of what it checks."""
    colours = (codes / 255 - MEAN.astype(np.float64)) / DEVIATION.astype(np.float64)
    return np.ascontiguousarray(colours.transpose(0, 3, 1, 2), np.float32)


def test_photographs_are_pictures() -> None:
    images = prepare_images(find_photographs("default"), 64, 12)
    assert are_pictures(images)
    assert Inputs(torch.from_numpy(images)).are_pictures()


def test_every_colour_value_comes_back_but_for_rounding() -> None:
    codes = np.stack([np.roll(np.arange(256), shift).reshape(16, 16) for shift in (0, 7, 100)], axis=-1)[np.newaxis]
    images = normalised(codes)
    assert are_pictures(images)
    sent = torch.from_numpy(images)
    received = through(Affine(describe(sent), PICTURES), sent)
    assert float((received - sent).abs().max()) < 1e-6


def test_dark_pictures_lose_nothing_where_a_ladder_of_their_own_would() -> None:
    codes = np.random.default_rng(0).integers(3, 171, (2, 16, 16, 3))
    sent = torch.from_numpy(normalised(codes))
    error, own_error = (
        float((through(codec, sent) - sent).abs().max())
        for codec in (Affine(describe(sent), PICTURES), Affine(describe(sent)))
    )
    assert error < 1e-6
    assert own_error > 100 * error
    assert Affine(describe(sent), PICTURES).most_bytes == Affine(describe(sent)).most_bytes


@pytest.mark.parametrize(
    "images",
    [
        np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32),
        normalised(np.full((1, 4, 4, 3), 256.0)),
        normalised(np.full((1, 4, 4, 3), -1.0)),
        normalised(np.full((1, 4, 4, 3), 10.5)),
        np.zeros((2, 1, 8, 8), np.float32),
        np.zeros((2, 10), np.float32),
        np.full((1, 3, 2, 2), np.nan, np.float32),
    ],
    ids=["noise", "too bright", "too dark", "between", "grey", "no images", "nan"],
)
def test_what_is_no_picture_is_not_taken_for_one(images: np.ndarray) -> None:
    assert not are_pictures(images)


def test_auto_tries_the_ladder_too() -> None:
    sent = torch.from_numpy(normalised(np.random.default_rng(0).integers(3, 171, (2, 16, 16, 3))))
    (tried,) = [trial.codec for trial in try_codecs(sent, PICTURES) if trial.codec.name == "int8"]
    assert float((through(tried, sent) - sent).abs().max()) < 1e-6


def test_the_ladder_goes_from_black_to_white() -> None:
    black, white = PICTURES.least, PICTURES.least + 255 * PICTURES.step
    assert np.allclose(black, (0 - MEAN) / DEVIATION)
    assert np.allclose(white, (1 - MEAN) / DEVIATION)
