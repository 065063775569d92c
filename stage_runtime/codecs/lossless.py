"""An activation packed without loss: its bytes sorted by significance, then compressed by Zstandard.

Signs and exponents of neighbouring values are alike, and after a ReLU many values are 0; the lower bits of a mantissa
are noise.  So all first bytes come first, then all second ones (a byte shuffle), and the compressor finds what repeats.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import zstandard

from stage_runtime.codecs.base import CodecOnWire, Part
from stage_runtime.errors import FormatError
from stage_runtime.tensors import memory_of
from stage_runtime.wire.frames import TensorHeader

# Of the levels that keep up with a fast link the one that packs best: 3 took twice as long and packed no better.
_LEVEL = 1

Bytes = npt.NDArray[np.uint8]


class Lossless:
    """Codec ``lossless``: every bit comes through, in as many bytes as they need."""

    name: CodecOnWire = "lossless"

    def __init__(self, activation: TensorHeader) -> None:
        self._bytes = activation.payload_bytes
        element = TensorHeader(activation.dtype, ()).payload_bytes
        self._shuffled = np.empty((element, self._bytes // element), np.uint8)
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self._decompressor = zstandard.ZstdDecompressor()
        # what does not compress grows by three bytes for each 128 KiB, and a header
        self.most_bytes = self._bytes + self._bytes // 4096 + 64

    def encode(self, activation: torch.Tensor) -> tuple[Part]:
        """Pack the activation; see the interface."""
        rows = self._rows(memory_of(activation))
        for place, row in enumerate(self._shuffled):
            row[:] = rows[:, place]
        packed = self._compressor.compress(self._shuffled.data)
        return ((TensorHeader("uint8", (len(packed),)), memoryview(packed)),)

    def check(self, described: tuple[TensorHeader, ...]) -> None:
        """Check what came; see the interface."""
        fits = len(described) == 1 and described[0].dtype == "uint8" and len(described[0].shape) == 1
        if not fits or described[0].payload_bytes > self.most_bytes:
            raise FormatError(f"{described} came by codec lossless, expected up to {self.most_bytes} bytes (uint8)")

    def decode(self, payload: memoryview, target: torch.Tensor) -> None:
        """Unpack the bytes; see the interface."""
        unpacked: Bytes = np.frombuffer(self._unpack(payload), np.uint8).reshape(self._shuffled.shape)
        rows = self._rows(memory_of(target))
        for place, row in enumerate(unpacked):
            rows[:, place] = row

    def _rows(self, memory: memoryview) -> Bytes:
        """Give memory as the bytes of one element a row."""
        rows: Bytes = np.frombuffer(memory, np.uint8).reshape(self._shuffled.shape[::-1])
        return rows

    def _unpack(self, payload: memoryview) -> bytes:
        """Decompress, into as many bytes as the activation has and never more."""
        try:
            size = zstandard.frame_content_size(payload)
            if size == self._bytes:
                return self._decompressor.decompress(payload)
        except zstandard.ZstdError as exc:
            raise FormatError(f"a packed activation cannot be unpacked: {exc}") from exc
        raise FormatError(f"a packed activation says that it has {size} bytes, expected {self._bytes}")
