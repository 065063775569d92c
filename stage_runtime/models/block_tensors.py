"""A block's tensors by name: every parameter and every buffer, saved or not by ``state_dict``."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from stage_runtime.errors import ModelError


def block_tensors(block: nn.Module) -> dict[str, torch.Tensor]:
    """Give the block's tensors, those that it holds twice under both names."""
    return {name: _get(owner, leaf) for name, owner, leaf in _slots(block)}


def assign_tensors(where: str, block: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """Put ``tensors`` in the place of the block's own, without copying.

    Raises ModelError, naming the block by ``where``, when names or shapes are not the block's.
    """
    slots = {name: (owner, leaf) for name, owner, leaf in _slots(block)}
    if slots.keys() != tensors.keys():
        raise ModelError(
            f"{where}: the shard has the tensors {sorted(tensors)}, the model here {sorted(slots)}; "
            "it was made with another version of the model's code"
        )
    for name, (owner, leaf) in slots.items():
        expected, given = _get(owner, leaf), tensors[name]
        if expected.shape != given.shape:
            raise ModelError(
                f"{where}: {name} has the shape {tuple(given.shape)} in the shard and "
                f"{tuple(expected.shape)} in the model; it was made for another variant of the model"
            )
        _set(owner, leaf, given)


def release_tensors(block: nn.Module) -> None:
    """Put every tensor of the block on ``meta``, so that it takes no memory."""
    for _, owner, leaf in _slots(block):
        _set(owner, leaf, torch.empty_like(_get(owner, leaf), device="meta"))


def _slots(block: nn.Module) -> Iterator[tuple[str, nn.Module, str]]:
    for path, owner in block.named_modules(remove_duplicate=False):
        for leaf, tensor in (*owner._parameters.items(), *owner._buffers.items()):  # noqa: SLF001  (no other way to see a module's own buffers)
            if tensor is not None:
                yield f"{path}.{leaf}" if path else leaf, owner, leaf


def _get(owner: nn.Module, leaf: str) -> torch.Tensor:
    tensor = getattr(owner, leaf)
    assert isinstance(tensor, torch.Tensor)
    return tensor


def _set(owner: nn.Module, leaf: str, tensor: torch.Tensor) -> None:
    if leaf in owner._parameters:  # noqa: SLF001  (as above)
        tensor = nn.Parameter(tensor, requires_grad=False)
    setattr(owner, leaf, tensor)
