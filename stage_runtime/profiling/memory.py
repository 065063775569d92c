"""How much memory activations take, block by block."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class ActivationMemory(TorchDispatchMode):
    """Counts the bytes of the tensor storages that are alive, while it is entered.

    A storage counts once however many tensors are views of it, from the operation that makes it until the
    last tensor lets go of it.  Those of `kept` (a model's parameters) never count.  What a kernel
    takes for itself and gives back is not seen.

    Not for use in inference mode: there a composite operation is one operation, and what it makes on its
    way is not seen.
    """

    def __init__(self, kept: Iterable[torch.Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own gap
        self.live_bytes = 0
        self.peak_bytes = 0
        # A storage's Python object lives as long as the storage, so its id tells storages apart.
        self._kept = {id(storage): storage for storage in (tensor.untyped_storage() for tensor in kept)}
        self._alive: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def count(self, tensor: torch.Tensor) -> None:
        """Count a tensor's storage, unless it is counted or kept."""
        storage = tensor.untyped_storage()
        key, size = id(storage), storage.nbytes()
        if key in self._kept or key in self._alive:
            return

        def forget(_: object) -> None:
            del self._alive[key]
            self.live_bytes -= size

        self._alive[key] = weakref.ref(storage, forget)
        self.live_bytes += size
        self.peak_bytes = max(self.peak_bytes, self.live_bytes)

    def restart(self) -> None:
        """Look for the peak from here on."""
        self.peak_bytes = self.live_bytes

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation and count what it gives."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self.count(leaf)
        return result


def activation_peaks(steps: nn.Sequential, make_batch: Callable[[], torch.Tensor]) -> tuple[int, ...]:
    """Run `steps` one after the other, and give each one's greatest activation bytes, input included.

    The batch is made here, so that nobody else holds it: after the first step it is let go of, like
    every other step's input.  Works on the CPU and on ``meta``, where nothing is computed.
    """
    kept = [tensor for step in steps for tensor in (*step.parameters(), *step.buffers())]
    peaks = []
    batch = make_batch()  # outside: what it takes to make a batch is no activation
    with torch.no_grad(), ActivationMemory(kept) as memory:
        memory.count(batch)
        for step in steps:
            memory.restart()
            batch = step(batch)
            peaks.append(memory.peak_bytes)
    return tuple(peaks)


def cuda_activation_peaks(
    steps: nn.Sequential, make_batch: Callable[[], torch.Tensor], device: torch.device
) -> tuple[int, ...]:
    """Do the same on a GPU, by its allocator's own count, which sees the kernels' workspaces as well.

    To be called after a first pass, which makes the libraries' lasting workspaces.
    """
    peaks = []
    before = torch.cuda.memory_allocated(device)
    with torch.inference_mode():
        batch = make_batch()
        for step in steps:
            torch.cuda.reset_peak_memory_stats(device)
            batch = step(batch)
            peaks.append(torch.cuda.max_memory_allocated(device) - before)
    return tuple(peaks)
