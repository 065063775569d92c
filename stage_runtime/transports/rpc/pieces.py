"""What a call carries: a frame's small buffers as bytes in its pickled part, large ones as tensors beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

Piece = bytes | torch.Tensor

# From here on a buffer gets a tensor of its own: RPC sends a tensor's bytes as they are, and pickles the rest.
_TENSOR_BYTES = 4096
# A peer takes calls one after the other, and answers nothing while one is on its way: at 5 Mbit/s for 7 s.
_MOST_OF_A_BUFFER = 4 * 2**20


def cut(buffers: Sequence[memoryview]) -> Iterator[list[memoryview]]:
    """Give what each call of a send carries: a buffer that is too long for one continues in the next."""
    parts: list[memoryview] = []
    for buffer in buffers:
        parts.append(buffer[:_MOST_OF_A_BUFFER])
        for begin in range(_MOST_OF_A_BUFFER, buffer.nbytes, _MOST_OF_A_BUFFER):
            yield parts
            parts = [buffer[begin : begin + _MOST_OF_A_BUFFER]]
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
