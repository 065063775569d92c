"""Between tensors and the wire: descriptors, memory, buffers."""

from __future__ import annotations

import torch

from stage_runtime.wire.frames import TensorHeader


def describe(tensor: torch.Tensor) -> TensorHeader:
    """Give a tensor's descriptor."""
    return TensorHeader(str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape))


def memory_of(tensor: torch.Tensor) -> memoryview:
    """Give the bytes of a contiguous host tensor, without a copy."""
    if tensor.dtype is not torch.bfloat16:
        return tensor.numpy().data.cast("B")
    # numpy has no such dtype; the detour through bytes costs more than the rest of sending a small tensor
    return tensor.reshape(-1).view(torch.uint8).numpy().data.cast("B")


def empty(header: TensorHeader, *, pinned: bool = False) -> torch.Tensor:
    """Make a host tensor for what the header describes; pinned memory reaches a GPU faster."""
    dtype: torch.dtype = getattr(torch, header.dtype)
    return torch.empty(header.shape, dtype=dtype, pin_memory=pinned)


def share_memory(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Say whether two tensors are (parts of) the same memory."""
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def check_output(tensor: torch.Tensor, expected: TensorHeader) -> str | None:
    """Say what is wrong with a model's output, None when nothing is."""
    found = describe(tensor)
    if found != expected:
        return f"the output is {found.dtype} {found.shape}, the model gives {expected.dtype} {expected.shape}"
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        bad = int((~torch.isfinite(tensor)).sum())
        return f"{bad} of {tensor.numel()} output values are not finite; check the weights and the input"
    return None
