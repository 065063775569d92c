"""Cut a model into blocks, at either granularity."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from stage_runtime.errors import ModelError
from stage_runtime.formats.manifest import Granularity, TensorSpec
from stage_runtime.models.names import check_granularity
from stage_runtime.models.paper_blocks import Block, paper_blocks
from stage_runtime.models.traced_blocks import traced_blocks, traced_blocks_at


def split_into_blocks(
    name: str, model: nn.Module, granularity: Granularity, sample_shape: Sequence[int]
) -> list[Block]:
    """Cut a model (in eval mode, canonical ``name``) into blocks that share its weights.

    Run one after another they compute what the model computes.  Point ``k`` cuts before block
    ``k``.  ``sample_shape`` is that of one input, without the batch dimension.
    """
    check_granularity(name, granularity)
    if granularity == "paper":
        return paper_blocks(name, model)
    return traced_blocks(name, model, sample_shape)


def split_at(name: str, model: nn.Module, granularity: Granularity, names: Sequence[str]) -> list[Block]:
    """Cut a model where it was cut before, given the names of all its blocks.

    Raises ModelError when this build of the model has other blocks.
    """
    if granularity == "all":
        return traced_blocks_at(name, model, names)
    blocks = paper_blocks(name, model)
    here = [block.name for block in blocks]
    if here != list(names):
        raise ModelError(
            f"{name} has the blocks {here} here, but the shards have {list(names)}; "
            "bring this machine's runtime up to date"
        )
    return blocks


def boundary_specs(name: str, blocks: Sequence[Block], images: torch.Tensor) -> list[TensorSpec]:
    """Run ``images`` through the blocks and give the spec of each block's output.

    Raises ModelError, naming the model by ``name``, when they do not fit it.
    """
    specs = []
    shape = tuple(images.shape)
    with torch.inference_mode():
        for block in blocks:
            try:
                images = block.module(images)
            except RuntimeError as exc:
                raise ModelError(
                    f"{name} does not run on an input of shape {shape} (block {block.name}: {exc})"
                ) from exc
            specs.append(tensor_spec(images))
    return specs


def tensor_spec(batch: torch.Tensor) -> TensorSpec:
    """Describe one sample of a batch."""
    shape = tuple(batch.shape[1:])
    return TensorSpec(
        shape=shape,
        dtype=str(batch.dtype).removeprefix("torch."),
        bytes_per_sample=shape_numel(shape) * batch.element_size(),
    )


def shape_numel(shape: Sequence[int]) -> int:
    """Count the elements of a tensor of this shape."""
    return torch.Size(shape).numel()
