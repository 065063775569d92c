"""An activation as it is: its own bytes, straight from its memory."""

from __future__ import annotations

import torch

from stage_runtime.codecs.base import CodecOnWire, Part
from stage_runtime.errors import FormatError
from stage_runtime.tensors import memory_of
from stage_runtime.wire.frames import TensorHeader


class Plain:
    """Codec ``none``: copies nothing, where frames are received straight into the activation's memory."""

    name: CodecOnWire = "none"

    def __init__(self, activation: TensorHeader) -> None:
        self._activation = activation
        self.most_bytes = activation.payload_bytes

    def encode(self, activation: torch.Tensor) -> tuple[Part]:
        """Give the activation itself; see the interface."""
        return ((self._activation, memory_of(activation)),)

    def check(self, described: tuple[TensorHeader, ...]) -> None:
        """Check what came; see the interface."""
        if described != (self._activation,):
            raise FormatError(f"{described} came, expected {self._activation}")

    def decode(self, payload: memoryview, target: torch.Tensor) -> None:
        """Copy the bytes; see the interface."""
        memory_of(target)[:] = payload
