from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stage_runtime.inputs.photographs import prepare_images
from stage_runtime.inputs.requests import find_photographs
from stage_runtime.models.zoo import import_torchvision


@pytest.mark.parametrize("size", [224, 299])
def test_images_are_those_that_torchvision_evaluates_with(size: int) -> None:
    import_torchvision()
    presets = importlib.import_module("torchvision.transforms._presets")
    reference = presets.ImageClassification(crop_size=size, resize_size=round(size * 256 / 224))
    photographs = find_photographs("default")
    assert [path.name for path in photographs] == ["china.jpg", "flower.jpg"]
    for index, path in enumerate(photographs):
        with Image.open(path) as photograph:
            expected = reference(photograph).numpy()
        found = prepare_images(photographs, size, 2)[index]
        # torchvision computes the scaled picture by itself where PIL rounds: a step of 255 is 0.017
        assert np.abs(found - expected).max() < 0.03


def test_a_photograph_is_used_again_with_other_crops(tmp_path: Path) -> None:
    """The picture's pixels tell their column by red and their row by green."""
    columns, rows = np.meshgrid(np.arange(0, 200, 2), np.arange(0, 200, 2))
    pixels = np.stack([columns, rows, np.zeros_like(rows)], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "ramp.png")
    views = prepare_images((tmp_path / "ramp.png",), 56, 11)  # scaled to 64, so that 8 pixels are left
    red = views[:, 0, :, :].mean(axis=(1, 2))
    green = views[:, 1, :, :].mean(axis=(1, 2))
    centre, top_left, top_right, bottom_left, bottom_right = range(5)
    assert red[top_left] == pytest.approx(red[bottom_left], abs=0.02)
    assert red[top_left] < red[centre] < red[top_right] == pytest.approx(red[bottom_right], abs=0.02)
    assert green[top_left] < green[centre] < green[bottom_left] == pytest.approx(green[bottom_right], abs=0.02)
    for turn in range(5):
        assert np.array_equal(views[turn + 5], views[turn][:, :, ::-1])
    assert np.array_equal(views[10], views[0])


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    pixels = np.zeros((32, 64, 3), dtype=np.uint8)
    pixels[:, :32] = 255  # white on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: its left is the picture's top
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    image = prepare_images((tmp_path / "turned.png",), 16, 1)[0]
    assert image[0, 2].min() > 2
    assert image[0, -3].max() < -2


def test_grey_and_transparent_photographs_become_colour(tmp_path: Path) -> None:
    Image.new("L", (20, 20), 128).save(tmp_path / "grey.png")
    Image.new("RGBA", (20, 20), (128, 128, 128, 10)).save(tmp_path / "transparent.png")
    images = prepare_images((tmp_path / "grey.png", tmp_path / "transparent.png"), 8, 2)
    assert images.shape == (2, 3, 8, 8)
    assert np.allclose(images[0], images[1])
