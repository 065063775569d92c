"""Compute the unsplit model's outputs from its shards; needs torch."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from stage_runtime.engines.eager import TorchEngine
from stage_runtime.errors import InputError
from stage_runtime.files import temporary_in
from stage_runtime.references.places import TENSOR, reference_path
from stage_runtime.shards.store import ShardStore
from stage_runtime.stage.inputs import read_images

# As few as a large model's activations need memory for.
_AT_ONCE = 4


def make_reference(cache: Path, manifest_id: str, inputs_id: str) -> tuple[Path, bool]:
    """Write the outputs for all images as one tensor ``output``; give its path, and whether it is new.

    Raises InputError where the model does not take these images, ShardError where a file is missing.
    """
    path = reference_path(cache / "inputs", inputs_id, manifest_id)
    if path.exists():
        return path, False
    images = read_images(cache / "inputs" / f"{inputs_id}.safetensors")
    manifest = ShardStore(cache / "shards").manifest(manifest_id)
    if tuple(images.shape[1:]) != manifest.input.shape:
        raise InputError(
            f"inputs {inputs_id} are images of {tuple(images.shape[1:])}, {manifest.model} takes {manifest.input.shape}"
        )
    blocks = TorchEngine("eager", cache / "shards").load(manifest_id, 0, len(manifest.blocks), _AT_ONCE)
    outputs = torch.cat([blocks.forward(part) for part in torch.split(images, _AT_ONCE)])
    with temporary_in(path.parent) as temporary:
        save_file({TENSOR: outputs.contiguous()}, temporary)
        temporary.replace(path)
    return path, True
