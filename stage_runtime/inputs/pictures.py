"""What the images are: pictures of 8 bits a colour, normalised; and so writable in 8 bits again, with nothing lost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

# ImageNet's, as torchvision evaluates its models
MEAN: Floats = np.array([0.485, 0.456, 0.406], dtype=np.float32)
DEVIATION: Floats = np.array([0.229, 0.224, 0.225], dtype=np.float32)
_WHITE = 255
# of a step: what float32 rounds away while normalising, hundreds of times over
_OFF = 0.01


class Ladder(NamedTuple):
    """Where each channel's 256 values lie: value = ``least`` + code * ``step``."""

    step: Floats
    least: Floats


PICTURES = Ladder(step=np.float32(1 / _WHITE) / DEVIATION, least=-MEAN / DEVIATION)
"""The ladder of a picture's three colours."""


def are_pictures(images: Floats) -> bool:
    """Say whether images of shape (n, 3, height, width) hold values of :data:`PICTURES` alone."""
    if images.ndim != 4 or images.shape[1] != len(MEAN):  # noqa: PLR2004 - NCHW
        return False
    step, least = (numbers.reshape(-1, 1, 1) for numbers in PICTURES)
    for image in images:  # one by one: what is worked on stays small
        codes = (image - least) / step
        whole = np.rint(codes)
        if not bool((np.abs(codes - whole) <= _OFF).all() and whole.min() >= 0 and whole.max() <= _WHITE):
            return False
    return True
