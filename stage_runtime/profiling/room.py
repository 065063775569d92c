"""Whether a whole model fits into a device, found out before it is loaded."""

from __future__ import annotations

import torch

from stage_runtime.errors import ModelError
from stage_runtime.formats.manifest import Manifest
from stage_runtime.models.loading import LoadedStage
from stage_runtime.profiling.memory import activation_peaks
from stage_runtime.telemetry.process import memory_figures

_MIB = 2**20


def available_bytes(accelerator: torch.device) -> int:
    """Give the memory that is left where the model is to lie: the GPU's, or the device's within its limits."""
    if accelerator.type == "cuda":
        free, _ = torch.cuda.mem_get_info(accelerator)
        return free + torch.cuda.memory_reserved(accelerator) - torch.cuda.memory_allocated(accelerator)
    return int(memory_figures().available_mb * _MIB)


def needed_bytes(bare: LoadedStage, batch: int) -> tuple[int, int]:
    """Give the bytes of parameters, and of activations at their peak, that a pass of the whole model takes.

    `bare` has no weights: the pass is made on ``meta``.
    """
    shape, dtype = bare.input_spec(batch)
    peaks = activation_peaks(bare.steps, lambda: torch.empty(shape, dtype=dtype, device="meta"))
    return bare.parameter_bytes, max(peaks)


def check_room(device: str, manifest: Manifest, bare: LoadedStage, batch: int, available: int) -> None:
    """Raise ModelError, naming the device and both figures, where the model does not fit with this batch size."""
    parameters, activations = needed_bytes(bare, batch)
    if parameters + activations > available:
        raise ModelError(
            f"{device} has too little memory for the whole of {manifest.model}: "
            f"{(parameters + activations) / _MIB:.1f} MiB are needed ({parameters / _MIB:.1f} for parameters, "
            f"{activations / _MIB:.1f} for activations of a batch of {batch}), {available / _MIB:.1f} MiB are "
            f"available; choose smaller batches, or profile other devices"
        )
