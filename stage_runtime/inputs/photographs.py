"""Turn photographs into the images that a model is run on.

Each is turned upright, scaled so that its shorter edge is 256/224 of the image's edge, cropped to
a square, and normalised with ImageNet's mean and standard deviation, as torchvision evaluates
its models.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from safetensors.numpy import save_file

from stage_runtime.errors import InputError
from stage_runtime.files import sha256_of, temporary_in
from stage_runtime.inputs.pictures import DEVIATION, MEAN
from stage_runtime.inputs.requests import InputsRequest, inputs_path

Images = npt.NDArray[np.float32]

_SCALE = 256 / 224
# The crop's place as a share of the room left: the centre first, then the corners.
_PLACES = ((0.5, 0.5), (0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))


def prepare_inputs(request: InputsRequest, folder: Path) -> tuple[str, bool]:
    """Write the images as one tensor ``images`` (float32, NCHW) and give its id, and whether it is new.

    The id is the beginning of the file's sha256.  With fewer photographs than images, each is
    used again with another crop: centre, then the four corners, then the same mirrored.
    """
    images = prepare_images(request.photographs, request.size, request.count)
    with temporary_in(folder) as temporary:
        save_file({"images": images}, temporary)
        inputs_id = sha256_of(temporary)[:16]
        path = inputs_path(folder, inputs_id)
        if path.exists() and sha256_of(path)[:16] == inputs_id:
            return inputs_id, False
        temporary.chmod(0o644)
        temporary.replace(path)
    return inputs_id, True


def prepare_images(photographs: tuple[Path, ...], size: int, count: int) -> Images:
    """Give ``count`` normalised images (N, 3, size, size); InputError names a file that is no image."""
    scaled = [_scaled(path, round(size * _SCALE)) for path in photographs[:count]]
    views = [_view(scaled[index % len(scaled)], size, index // len(scaled)) for index in range(count)]
    return np.stack(views)


def _scaled(path: Path, edge: int) -> Image.Image:
    try:
        with Image.open(path) as photograph:
            image = ImageOps.exif_transpose(photograph).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:  # PIL raises all of these
        raise InputError(f"{path} cannot be read as a photograph ({exc}); take it out of the folder") from exc
    shorter = min(image.size)
    return image.resize(
        (int(edge * image.width / shorter), int(edge * image.height / shorter)), Image.Resampling.BILINEAR
    )


def _view(image: Image.Image, size: int, turn: int) -> Images:
    across, down = _PLACES[turn % len(_PLACES)]
    left, top = round((image.width - size) * across), round((image.height - size) * down)
    pixels = np.asarray(image.crop((left, top, left + size, top + size)), dtype=np.float32) / 255
    if (turn // len(_PLACES)) % 2:
        pixels = pixels[:, ::-1]
    normalised = (pixels - MEAN) / DEVIATION
    return np.ascontiguousarray(normalised.transpose(2, 0, 1), dtype=np.float32)
