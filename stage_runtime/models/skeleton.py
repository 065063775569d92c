"""The blocks of a manifest's model, without weights."""

from __future__ import annotations

import copy

import torch
from torch import nn

from stage_runtime.formats.manifest import Manifest, TensorSpec
from stage_runtime.models import zoo
from stage_runtime.models.block_tensors import block_tensors
from stage_runtime.models.paper_blocks import named_chain
from stage_runtime.models.splitting import split_at


class Skeleton:
    """A model on ``meta``, cut like its manifest; ``loaded`` holds the blocks given weights since.

    Blocks share nothing with one another, so each can be given and lose its weights alone.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        model = zoo.build_on_meta(
            manifest.model,
            num_classes=manifest.num_classes,
            image_size=manifest.input.shape[-1],
            transform_input=manifest.weights.kind == "torchvision",
        )
        names = [entry.name for entry in manifest.blocks]
        blocks = split_at(manifest.model, model, manifest.granularity, names)
        self.blocks = [copy.deepcopy(block.module) for block in blocks]
        self.loaded: set[int] = set()
        self._in_place = [
            [part for part in block.modules() if getattr(part, "inplace", False)] for block in self.blocks
        ]
        self._writes_input: dict[int, bool] = {}

    def chain(self, first: int, last: int) -> nn.Module:
        """Chain blocks ``[first, last)`` into a module that leaves its input as it is."""
        for index in range(first, last):
            self._set_in_place(index, allowed=True)
        blocks = [(f"block_{index}", self.blocks[index]) for index in range(first, last)]
        if blocks and self._writes_its_input(first):
            self._set_in_place(first, allowed=False)
            if writes_its_input(self.blocks[first], self._input_spec(first)):
                blocks.insert(0, ("own_input", _Copy()))
        return named_chain(blocks)

    def _set_in_place(self, index: int, *, allowed: bool) -> None:
        for part in self._in_place[index]:
            part.inplace = allowed  # type: ignore[assignment]  # a plain flag of ReLU and its kin

    def _writes_its_input(self, index: int) -> bool:
        if index not in self._writes_input:
            self._writes_input[index] = writes_its_input(self.blocks[index], self._input_spec(index))
        return self._writes_input[index]

    def _input_spec(self, index: int) -> TensorSpec:
        return self.manifest.blocks[index - 1].output if index else self.manifest.input


def writes_its_input(block: nn.Module, spec: TensorSpec) -> bool:
    """Say whether running the block changes its input tensor in place, by a run on ``meta``."""
    probe = torch.empty((1, *spec.shape), dtype=getattr(torch, spec.dtype), device="meta")
    weightless = {name: torch.empty_like(own, device="meta") for name, own in block_tensors(block).items()}
    with torch.no_grad():
        before = probe._version  # noqa: SLF001  (torch's count of writes in place has no public name)
        torch.func.functional_call(block, weightless, (probe,))
        return bool(probe._version != before)  # noqa: SLF001  (as above)


class _Copy(nn.Module):
    """Give a copy, so that what follows may write to it."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch.clone()
