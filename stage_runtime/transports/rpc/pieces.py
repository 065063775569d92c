"""What a call carries: a frame's small buffers as bytes in its pickled part, large ones as tensors beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

Piece = bytes | torch.Tensor

# From here on a buffer gets a tensor of its own: RPC sends a tensor's bytes as they are, and pickles the rest.
_TENSOR_BYTES = 4096
MOST_OF_A_BUFFER = 4 * 2**20
"""A peer takes calls one after the other, and of one that is on its way it notices nothing."""
_LEAST_OF_A_BUFFER = 2**16


def part_bytes(second_bytes: int) -> int:
    """Give how much of a buffer a call carries, where the link carries so much in a second: that, within bounds."""
    return min(max(second_bytes, _LEAST_OF_A_BUFFER), MOST_OF_A_BUFFER)


def cut(buffers: Sequence[memoryview], most: int = MOST_OF_A_BUFFER) -> Iterator[list[memoryview]]:
    """Give what each call of a send carries: a buffer longer than ``most`` bytes continues in the next."""
    parts: list[memoryview] = []
    for buffer in buffers:
        parts.append(buffer[:most])
        for begin in range(most, buffer.nbytes, most):
            yield parts
            parts = [buffer[begin : begin + most]]
    yield parts


def pack(buffers: Sequence[memoryview]) -> tuple[Piece, ...]:
    """Copy the buffers; small ones that follow each other become one piece."""
    pieces: list[Piece] = []
    small = bytearray()
    for buffer in buffers:
        if buffer.nbytes < _TENSOR_BYTES:
            small += buffer
            continue
        if small:
            pieces.append(bytes(small))
            small.clear()
        tensor = torch.empty(buffer.nbytes, dtype=torch.uint8)
        copy(buffer, bytes_of(tensor))
        pieces.append(tensor)
    if small:
        pieces.append(bytes(small))
    return tuple(pieces)


def bytes_of(piece: Piece) -> memoryview:
    """Give a piece's memory."""
    return memoryview(piece) if isinstance(piece, bytes) else piece.numpy().data


def size_of(pieces: Sequence[Piece]) -> int:
    """Count the pieces' bytes."""
    return sum(bytes_of(piece).nbytes for piece in pieces)


def copy(source: memoryview, target: memoryview) -> None:
    """Copy bytes between buffers of one length; numpy lets other threads run meanwhile."""
    np.frombuffer(target, np.uint8)[:] = np.frombuffer(source, np.uint8)
