"""The codecs by name, and by their number in a frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

import torch

from stage_runtime.codecs.affine import Affine
from stage_runtime.codecs.base import Codec, CodecOnWire, Part
from stage_runtime.codecs.half import Half
from stage_runtime.codecs.lossless import Lossless
from stage_runtime.codecs.plain import Plain
from stage_runtime.errors import FormatError
from stage_runtime.formats.cell import CodecName
from stage_runtime.inputs.pictures import Ladder
from stage_runtime.wire.frames import TensorHeader

NAMES: tuple[CodecOnWire, ...] = get_args(CodecOnWire)
NUMBERS: dict[CodecOnWire, int] = {name: number for number, name in enumerate(NAMES)}

_MAKERS: dict[CodecOnWire, Callable[[TensorHeader], Codec]] = {
    "none": Plain,
    "fp16": Half,
    "lossless": Lossless,
}
_ROUNDS: frozenset[CodecOnWire] = frozenset({"fp16", "int8"})


def make_codec(name: CodecOnWire, activation: TensorHeader, ladder: Ladder | None = None) -> Codec:
    """Make a codec for activations of this dtype and shape, whose values all lie on the ``ladder`` if one is given.

    Raises FormatError where it cannot write them.
    """
    check_writable(name, activation)
    return Affine(activation, ladder) if name == "int8" else _MAKERS[name](activation)


def check_writable(name: CodecName, activation: TensorHeader) -> None:
    """Raise FormatError where a codec cannot write such activations."""
    if not can_write(name, activation):
        raise FormatError(
            f"codec {name} rounds float32 activations, what crosses here is {activation.dtype} {activation.shape}; "
            "take codec none or lossless"
        )


def can_write(name: CodecName, activation: TensorHeader) -> bool:
    """Say whether a codec can write such activations; ``auto`` always finds one that can."""
    return activation.dtype == "float32" or name not in _ROUNDS


class Writing:
    """The codec of what one stage sends: the one asked for, with ``auto`` what ``choose`` gives for the first batch.

    With a ``ladder`` all its values lie on that.  Raises FormatError where the codec cannot write such activations.
    """

    def __init__(
        self,
        activation: TensorHeader,
        asked: CodecName,
        choose: Callable[[torch.Tensor], Codec],
        ladder: Ladder | None = None,
    ) -> None:
        self._codec = None if asked == "auto" else make_codec(asked, activation, ladder)
        self._choose = choose

    @property
    def name(self) -> CodecOnWire:
        """The codec in use; there once something was written."""
        return self._codec.name if self._codec is not None else "none"

    def encode(self, activation: torch.Tensor) -> tuple[int, Sequence[Part]]:
        """Write an activation: the codec's number in a frame, and the frame's tensors."""
        if self._codec is None:
            self._codec = self._choose(activation)
        return NUMBERS[self._codec.name], self._codec.encode(activation)


class Reading:
    """The codecs of what one stage receives, and memory for activations that are not read yet."""

    def __init__(self, activation: TensorHeader, asked: CodecName) -> None:
        self._activation = activation
        self._asked = asked
        self._made: dict[CodecOnWire, Codec] = {}
        self._memory = memoryview(bytearray())

    def accept(self, number: int, described: tuple[TensorHeader, ...]) -> Codec:
        """Give the codec that wrote a frame, before a byte of its payload is received.

        Raises FormatError where it is not the one that was asked for (with ``auto`` any), or its tensors are not
        those of such an activation.
        """
        name = NAMES[number] if number < len(NAMES) else None
        if name is None or self._asked not in {"auto", name}:
            raise FormatError(f"a batch came by codec {name or number}, expected {self._asked}")
        codec = self._made.get(name)
        if codec is None:
            codec = self._made[name] = make_codec(name, self._activation)
        codec.check(described)
        return codec

    def memory(self, size: int) -> memoryview:
        """Give memory for a payload that was accepted; the next call may give the same."""
        if self._memory.nbytes < size:
            self._memory = memoryview(bytearray(size))
        return self._memory[:size]
