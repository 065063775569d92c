"""Send an activation through a codec as a frame does: parts, one after the other, into other memory."""

from __future__ import annotations

import torch

from stage_runtime.codecs.base import Codec
from stage_runtime.codecs.choice import NUMBERS, Reading
from stage_runtime.tensors import describe


def through(codec: Codec, activation: torch.Tensor) -> torch.Tensor:
    """Write an activation, and read it as the next stage does."""
    parts = codec.encode(activation)
    assert all(header.payload_bytes == data.nbytes for header, data in parts)
    payload = b"".join(data for _, data in parts)
    assert len(payload) <= codec.most_bytes
    reading = Reading(describe(activation), codec.name)
    other = reading.accept(NUMBERS[codec.name], tuple(header for header, _ in parts))
    memory = reading.memory(len(payload))
    memory[:] = payload
    target = torch.empty(activation.shape, dtype=activation.dtype)
    other.decode(memory, target)
    return target
