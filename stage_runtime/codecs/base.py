"""What every codec offers: write an activation as tensors of a frame, and read those back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import torch

from stage_runtime.wire.frames import TensorHeader

CodecOnWire = Literal["none", "fp16", "int8", "lossless"]
"""The codecs that write frames: all but ``auto``, which is a choice among them."""

Part = tuple[TensorHeader, memoryview]
"""One tensor of a frame: its descriptor, and its bytes."""


class Codec(Protocol):
    """Writes and reads activations of one dtype and shape.  Not for use by several threads at once."""

    @property
    def name(self) -> CodecOnWire:
        """What it is called."""
        ...

    @property
    def most_bytes(self) -> int:
        """The most bytes that a written activation takes."""
        ...

    def encode(self, activation: torch.Tensor, /) -> Sequence[Part]:
        """Write a contiguous activation; what is given is valid until the next call, and while the activation is."""
        ...

    def check(self, described: tuple[TensorHeader, ...], /) -> None:
        """Raise FormatError unless these are the tensors that ``encode`` gives."""
        ...

    def decode(self, payload: memoryview, target: torch.Tensor, /) -> None:
        """Read checked tensors, whose bytes lie one after the other in ``payload``, into all of ``target``.

        ``payload`` begins at an address that any dtype may have, and may be written to.  Raises FormatError where it
        cannot have come from ``encode``.
        """
        ...
