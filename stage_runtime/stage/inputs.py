"""The images that a cell's batches are made of."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from stage_runtime.errors import FormatError, ShardError
from stage_runtime.inputs.pictures import are_pictures
from stage_runtime.tensors import describe, memory_of
from stage_runtime.wire.frames import TensorHeader


class Inputs:
    """Images, taken in turn."""

    def __init__(self, images: torch.Tensor) -> None:
        count = images.shape[0]
        self._tensor = images
        self._images = np.frombuffer(memory_of(images.contiguous()), np.uint8).reshape(count, -1)

    def are_pictures(self) -> bool:
        """Say whether the images are normalised pictures of 8 bits a colour."""
        return self._tensor.dtype is torch.float32 and are_pictures(self._tensor.numpy())

    def fill(self, memory: memoryview, size: int, batch: int) -> None:
        """Copy batch number ``batch`` of ``size`` images into ``memory``; after the last image comes the first.

        The copy is numpy's: it lets go of the interpreter lock, and unlike torch's makes no pool of
        threads for its caller.
        """
        count = self._images.shape[0]
        target = np.frombuffer(memory, np.uint8).reshape(size, -1)
        filled = 0
        while filled < size:
            begin = (batch * size + filled) % count
            many = min(size - filled, count - begin)
            target[filled : filled + many] = self._images[begin : begin + many]
            filled += many


def read_inputs(inputs_dir: Path, inputs_id: str, expected: TensorHeader) -> Inputs:
    """Read inputs that lie on this device.

    Raises ShardError when they do not, FormatError when their images are not what the model takes.
    """
    images = read_images(inputs_dir / f"{inputs_id}.safetensors")
    found = describe(images)
    if found.dtype != expected.dtype or found.shape[1:] != expected.shape[1:] or found.shape[0] < 1:
        raise FormatError(
            f"inputs {inputs_id} are {found.dtype} {found.shape}, the model takes {expected.dtype} "
            f"(n, {', '.join(map(str, expected.shape[1:]))})"
        )
    return Inputs(images)


@functools.lru_cache(maxsize=1)
def read_images(path: Path) -> torch.Tensor:
    """Read prepared images (n, 3, height, width); the file's name is a hash of its content, so they are kept.

    Raises ShardError when they are not there.
    """
    try:
        images: torch.Tensor = load_file(path)["images"]
    except OSError as exc:
        raise ShardError(f"{path}: {exc.strerror or exc}; the model_shards role brings it") from exc
    except (SafetensorError, KeyError) as exc:
        raise ShardError(f"{path} holds no images ({exc!r}); remove it and provision again") from exc
    return images
