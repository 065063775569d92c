"""Hold every batch's output against the unsplit model's."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from stage_runtime.errors import FormatError, ShardError
from stage_runtime.formats.cell import Cell, CodecName
from stage_runtime.references.places import TENSOR, reference_path
from stage_runtime.tensors import describe
from stage_runtime.wire.frames import TensorHeader

Values = npt.NDArray[np.float32]

# Float32 in another order of summation differs by 1e-6 of the largest value or so; ten bits of mantissa (TF32) by 1e-3.
MOST_ERROR = 1e-4
_EXACT: frozenset[CodecName] = frozenset({"none", "lossless"})


class Agreement:
    """How far a run's outputs are from the reference, over the batches noted up to now.

    ``exact`` says that nothing on the way rounds, so that the outputs should be the unsplit model's.
    """

    def __init__(self, outputs: torch.Tensor, *, exact: bool) -> None:
        count = outputs.shape[0]
        self._outputs: Values = outputs.to(torch.float32).numpy().reshape(count, -1)
        self._largest: Values = np.abs(self._outputs).max(axis=1)
        self._classes = self._outputs.argmax(axis=1)
        self._exact = exact
        self._images = 0
        self._agreeing = 0
        self.relative_error = 0.0

    @property
    def top1_agreement(self) -> float | None:
        """The share of images whose largest value is at the same place; None before the first batch."""
        return self._agreeing / self._images if self._images else None

    def note(self, batch: int, output: torch.Tensor) -> None:
        """Compare a finite output of a batch, whose images are those that :class:`stage.inputs.Inputs` takes."""
        size = output.shape[0]
        found: Values = output.to(torch.float32).numpy().reshape(size, -1)
        images = np.arange(batch * size, (batch + 1) * size) % self._outputs.shape[0]
        largest = float(self._largest[images].max())
        error = float(np.abs(found - self._outputs[images]).max())
        self.relative_error = max(self.relative_error, error / largest if largest else error)
        self._agreeing += int((found.argmax(axis=1) == self._classes[images]).sum())
        self._images += size

    def objection(self) -> str | None:
        """Say why no run should give such outputs; None while nothing is wrong."""
        if not self._exact or self.relative_error <= MOST_ERROR:
            return None
        return (
            f"the output differs from the unsplit model's by {self.relative_error:.1e} of its largest value, at most "
            f"{MOST_ERROR:.0e} where no codec rounds; the engine or a device computes something else"
        )


def read_reference(inputs_dir: Path, cell: Cell, expected: TensorHeader) -> Agreement | None:
    """Read the reference outputs of a cell, which lie beside its inputs; None where there are none.

    Raises ShardError where they cannot be read, FormatError when they are not of the model's shape.
    """
    path = reference_path(inputs_dir, cell.inputs_id, cell.manifest_id)
    if not path.exists():
        return None
    outputs = _read_outputs(path)
    found = describe(outputs)
    if found.dtype != expected.dtype or found.shape[1:] != expected.shape[1:] or found.shape[0] < 1:
        raise FormatError(
            f"the reference outputs {path.name} are {found.dtype} {found.shape}, the model gives {expected.dtype} "
            f"(n, {', '.join(map(str, expected.shape[1:]))}); remove {path} here and on the control node"
        )
    return Agreement(outputs, exact=cell.codec in _EXACT or len(cell.stages) == 1)


@functools.lru_cache(maxsize=2)
def _read_outputs(path: Path) -> torch.Tensor:
    """Read the outputs; the file's name says what they came from, so they are kept."""
    try:
        outputs: torch.Tensor = load_file(path)[TENSOR]
    except (OSError, SafetensorError, KeyError) as exc:
        raise ShardError(f"{path} holds no reference outputs ({exc!r}); remove it and provision again") from exc
    return outputs
