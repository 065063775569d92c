"""An activation in half precision (IEEE binary16).

Rounded to the nearest of 11 bits: 2**-11 of its value between 6e-5 and 65504.  What is greater becomes infinite, as
everywhere in half precision, and the output check tells.
"""

from __future__ import annotations

import torch

from stage_runtime.codecs.base import CodecOnWire, Part
from stage_runtime.errors import FormatError
from stage_runtime.tensors import memory_of
from stage_runtime.wire.frames import TensorHeader

# torch shares out what has 32768 elements or more among threads.  numpy does not, but took 60 times as long.
_MOST_AT_ONCE = 32_767


class Half:
    """Codec ``fp16``: half the bytes of float32."""

    name: CodecOnWire = "fp16"

    def __init__(self, activation: TensorHeader) -> None:
        self._written = TensorHeader("float16", activation.shape)
        self._halves = torch.empty(activation.shape, dtype=torch.float16)
        self._memory = memory_of(self._halves)
        self.most_bytes = self._written.payload_bytes

    def encode(self, activation: torch.Tensor) -> tuple[Part]:
        """Round the activation; see the interface."""
        _convert(activation, self._halves)
        return ((self._written, self._memory),)

    def check(self, described: tuple[TensorHeader, ...]) -> None:
        """Check what came; see the interface."""
        if described != (self._written,):
            raise FormatError(f"{described} came by codec fp16, expected {self._written}")

    def decode(self, payload: memoryview, target: torch.Tensor) -> None:
        """Widen the halves again; see the interface."""
        _convert(torch.frombuffer(payload, dtype=torch.float16), target)


def _convert(source: torch.Tensor, target: torch.Tensor) -> None:
    values, written = source.reshape(-1), target.view(-1)
    for one, other in zip(torch.split(values, _MOST_AT_ONCE), torch.split(written, _MOST_AT_ONCE), strict=True):
        other.copy_(one)
