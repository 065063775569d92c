"""An activation in 8 bits: each channel's values on a ladder of 256 steps between its least and its greatest.

The channel is the second dimension, taken over the whole batch: value = least + code * step.  Where a channel has
fewer than 48 values, so that its two numbers would weigh more than a sixth of its codes, a sample takes the channel's
place, and where that has fewer too, the whole activation.  What is written are the steps and the least values
(float32), then the codes.

The error of a value is half a step at most, and none in a channel whose values are all alike.  Values within 1e-30
of each other count as alike, and come back as the least of them: no float32 can say their step.  A channel with
infinities or NaN, or with values further apart than a float can tell, has 253 values and keeps them: the sign of its
step says so, and its last three codes are -inf, inf and NaN.

Where the steps are known beforehand, as a picture's are, every value comes back but for a float's rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from stage_runtime.codecs.base import CodecOnWire, Part
from stage_runtime.errors import FormatError
from stage_runtime.inputs.pictures import Ladder
from stage_runtime.wire.frames import TensorHeader

_LEAST_VALUES = 48
_STEPS = 255
_GUARDED_STEPS = 252
_MINUS_INFINITE, _INFINITE, _NAN = 253, 254, 255
# Values nearer than this are alike, as the module says: one over their distance would be infinite.
_LEAST_SPAN = 1e-30
# What is worked on at once stays in the processor's cache.
_MOST_AT_ONCE = 65_536
_HALF = np.float32(0.5)

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.uint8]


class Affine:
    """Codec ``int8``: a quarter of the bytes of float32, and two numbers for each channel.

    All values of all activations lie on the ``ladder`` where one is given, with a step for each channel.
    """

    name: CodecOnWire = "int8"

    def __init__(self, activation: TensorHeader, ladder: Ladder | None = None) -> None:
        self._grid = grid = _grid(activation.shape)
        outer, groups, inner = grid
        self._numbers = np.zeros((2, groups, 1), np.float32)
        self._given = ladder is not None
        if ladder is not None:
            self._numbers[:, :, 0] = ladder
        self._codes = np.empty(grid, np.uint8)
        rows = max(1, min(groups, _MOST_AT_ONCE // max(1, inner)))
        samples = max(1, _MOST_AT_ONCE // max(1, inner * groups))
        self._pieces = [
            (slice(sample, sample + samples), slice(group, group + rows))
            for sample in range(0, outer, samples)
            for group in range(0, groups, rows)
        ]
        self._work = np.empty(samples * rows * inner, np.float32)
        self._written = (TensorHeader("float32", (2, groups)), TensorHeader("uint8", activation.shape))
        self.most_bytes = sum(tensor.payload_bytes for tensor in self._written)

    def encode(self, activation: torch.Tensor) -> tuple[Part, Part]:
        """Round the activation; see the interface."""
        values: Floats = activation.numpy().reshape(self._grid)
        with np.errstate(invalid="ignore", over="ignore"):
            self._encode(values)
        numbers, codes = self._written
        return (numbers, self._numbers.data.cast("B")), (codes, self._codes.data.cast("B"))

    def check(self, described: tuple[TensorHeader, ...]) -> None:
        """Check what came; see the interface."""
        if described != self._written:
            raise FormatError(f"{described} came by codec int8, expected {self._written}")

    def decode(self, payload: memoryview, target: torch.Tensor) -> None:
        """Give each code its value again; see the interface."""
        numbers: Floats = np.frombuffer(payload, np.float32, self._numbers.size).reshape(self._numbers.shape)
        codes: Codes = np.frombuffer(payload, np.uint8, offset=numbers.nbytes).reshape(self._grid)
        steps, least = numbers
        values: Floats = target.numpy().reshape(self._grid)
        with np.errstate(invalid="ignore", over="ignore"):
            for samples, groups in self._pieces:
                part = values[samples, groups]
                np.multiply(codes[samples, groups], steps[groups], out=part)
                np.add(part, least[groups], out=part)
            for group in np.flatnonzero(np.signbit(steps)):
                values[:, group] = _ladder(steps[group, 0], least[group, 0])[codes[:, group]]

    def _encode(self, values: Floats) -> None:
        steps, least = self._numbers
        guarded, per_value = ((), 1 / steps) if self._given else self._lay_out(values)
        for samples, groups in self._pieces:
            part = values[samples, groups]
            work = self._work[: part.size].reshape(part.shape)
            np.subtract(part, least[groups], out=work)
            np.multiply(work, per_value[groups], out=work)
            np.add(work, _HALF, out=work)
            np.copyto(self._codes[samples, groups], work, casting="unsafe")
        for group in guarded:
            steps[group, 0], least[group, 0], self._codes[:, group] = _guarded(values[:, group])

    def _lay_out(self, values: Floats) -> tuple[Sequence[int], Floats]:
        """Set every channel's ladder by its values; give the channels to guard, and one over each step."""
        steps, least = self._numbers
        least[:, 0] = values.min(axis=(0, 2))
        span = values.max(axis=(0, 2))[:, np.newaxis] - least
        guarded = np.flatnonzero(~np.isfinite(span))
        least[guarded] = span[guarded] = 0.0
        np.divide(span, _STEPS, out=steps)
        steps[span < _LEAST_SPAN] = 0.0
        per_value: Floats = np.divide(_STEPS, span, out=np.zeros_like(span), where=steps > 0)
        return [int(group) for group in guarded], per_value


def _grid(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Lay a shape out as (samples, groups, values of a group in a sample); each group has a ladder of its own."""
    count = math.prod(shape)
    samples, channels = (*shape, 1, 1)[:2]
    if count >= _LEAST_VALUES * channels and len(shape) > 1:
        return samples, channels, count // max(1, samples * channels)
    if count >= _LEAST_VALUES * samples:
        return 1, samples, count // max(1, samples)
    return 1, 1, count


def _guarded(values: Floats) -> tuple[float, float, Codes]:
    """Write a group of values that are not all finite, or too far apart: its step (negative), least value and codes."""
    finite = np.isfinite(values)
    wide = values[finite].astype(np.float64)
    least = float(wide.min()) if wide.size else 0.0
    span = float(np.ptp(wide)) if wide.size else 0.0
    step = span / _GUARDED_STEPS if span >= _LEAST_SPAN else 0.0
    codes = np.full(values.shape, _NAN, np.uint8)
    codes[finite] = np.rint((wide - least) / step) if step else 0
    codes[np.isneginf(values)] = _MINUS_INFINITE
    codes[np.isposinf(values)] = _INFINITE
    return -step, least, codes


def _ladder(step: float, least: float) -> Floats:
    """Give the value of each code of a guarded group."""
    values = np.float64(least) + np.arange(_STEPS + 1) * np.abs(np.float64(step))
    values[[_MINUS_INFINITE, _INFINITE, _NAN]] = -math.inf, math.inf, math.nan
    narrow: Floats = values.astype(np.float32)
    return narrow
