"""Frames: a fixed header, a small body, then raw tensor bytes.

::

    header, 32 bytes, big-endian
      4s  magic "SBW1"
      B   kind (see Kind)
      B   number of tensors
      H   codec of the tensors (see stage_runtime.codecs.choice), 0 for none
      Q   run: a random number that the first stage gives to every run
      I   number: of the batch or the ping, or 0
      I   body bytes
      Q   payload bytes
    body        for BATCH and RESULT one descriptor per tensor, else JSON (see messages)
    payload     the tensors' bytes, one after the other, row-major, little-endian

A descriptor is a dtype code and a number of dimensions (one byte each), then each dimension as a
32-bit number.  Sizes are checked against the bounds here, and against what the cell leads to expect,
before a byte of the payload is received.
"""

from __future__ import annotations

import enum
import functools
import math
import struct
from typing import NamedTuple

from stage_runtime.errors import FormatError

MAGIC = b"SBW1"
MAX_BODY_BYTES = 4 * 2**20
MAX_PAYLOAD_BYTES = 4 * 2**30
MAX_TENSORS = 64
MAX_DIMENSIONS = 8
MAX_DESCRIPTOR_BYTES = 2 + 4 * MAX_DIMENSIONS

_HEADER = struct.Struct("!4sBBHQIIQ")
HEADER_BYTES = _HEADER.size

_CODES = {
    "float32": (1, 4),
    "float64": (2, 8),
    "float16": (3, 2),
    "bfloat16": (4, 2),
    "uint8": (5, 1),
    "int8": (6, 1),
    "int16": (7, 2),
    "int32": (8, 4),
    "int64": (9, 8),
    "bool": (10, 1),
}
_NAMES = {code: name for name, (code, _) in _CODES.items()}


class Kind(enum.IntEnum):
    """What a frame is; down is away from the first stage, up is back to it."""

    CONFIGURE = 1  # down: the cell, and which stage the receiver is
    READY = 2  # up: this stage and all below have loaded their blocks
    BATCH = 3  # down: an activation
    RESULT = 4  # up: the model's output
    FINISH = 5  # down: no more batches come
    FIGURES = 6  # up: what this stage and all below measured
    ERROR = 7  # up: the run is over
    PING = 8  # down
    PONG = 9  # up
    PROGRESS = 10  # up: a sign of life, and how far a stage has come
    ALONE = 11  # down: the stages above have computed alone, now it is yours and those below
    ALONE_DONE = 12  # up: this stage and all below have
    BEAT = 13  # both ways: a sign of life, when nothing else was sent for a while


class Header(NamedTuple):
    """A frame's header; ``codec`` is the number of what wrote its tensors."""

    kind: Kind
    tensors: int
    run: int
    number: int
    body_bytes: int
    payload_bytes: int
    codec: int = 0


class TensorHeader(NamedTuple):
    """A tensor's descriptor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def payload_bytes(self) -> int:
        """How many bytes the tensor's elements take."""
        return math.prod(self.shape) * _CODES[self.dtype][1]


def pack_header(header: Header) -> bytes:
    """Write a header; raises FormatError when a size is out of bounds."""
    _check_bounds(header)
    return _HEADER.pack(
        MAGIC,
        header.kind,
        header.tensors,
        header.codec,
        header.run,
        header.number,
        header.body_bytes,
        header.payload_bytes,
    )


def unpack_header(data: bytes | bytearray | memoryview) -> Header:
    """Read a header; raises FormatError for anything that this version would not write."""
    if len(data) != HEADER_BYTES:
        raise FormatError(f"a frame's header has {HEADER_BYTES} bytes, not {len(data)}")
    magic, kind, tensors, codec, run, index, body_bytes, payload_bytes = _HEADER.unpack(data)
    if magic != MAGIC:
        raise FormatError(
            f"a frame begins with {magic!r} instead of {MAGIC!r}: do all devices have the same runtime? "
            "Run playbooks/provision.yml"
        )
    try:
        known = Kind(kind)
    except ValueError as exc:
        raise FormatError(f"a frame has kind {kind}, known are {min(Kind)} to {max(Kind)}") from exc
    header = Header(known, tensors, run, index, body_bytes, payload_bytes, codec)
    _check_bounds(header)
    return header


def _check_bounds(header: Header) -> None:
    if header.codec and not header.tensors:
        raise FormatError(f"a {header.kind.name} frame without tensors names codec {header.codec}")
    if header.payload_bytes and not header.tensors:
        raise FormatError(f"a {header.kind.name} frame without tensors has a payload of {header.payload_bytes} bytes")
    most_body_bytes = header.tensors * MAX_DESCRIPTOR_BYTES if header.tensors else MAX_BODY_BYTES
    for what, value, most in (
        ("tensors", header.tensors, MAX_TENSORS),
        ("body bytes", header.body_bytes, most_body_bytes),
        ("payload bytes", header.payload_bytes, MAX_PAYLOAD_BYTES),
    ):
        if value > most:
            raise FormatError(f"a {header.kind.name} frame has {value} {what}, at most {most} are allowed")


@functools.lru_cache(maxsize=64)
def pack_descriptors(tensors: tuple[TensorHeader, ...]) -> bytes:
    """Write the descriptors of a frame's tensors."""
    parts = []
    for dtype, shape in tensors:
        if dtype not in _CODES:
            raise FormatError(f"a tensor of dtype {dtype} cannot be sent; known: {', '.join(_CODES)}")
        if len(shape) > MAX_DIMENSIONS:
            raise FormatError(f"a tensor of {len(shape)} dimensions cannot be sent, at most {MAX_DIMENSIONS}")
        try:
            parts.append(struct.pack(f"!BB{len(shape)}I", _CODES[dtype][0], len(shape), *shape))
        except struct.error as exc:
            raise FormatError(f"a tensor of shape {shape} cannot be sent: {exc}") from exc
    return b"".join(parts)


def unpack_descriptors(data: bytes | memoryview, count: int) -> tuple[TensorHeader, ...]:
    """Read ``count`` descriptors, which must be all of ``data``; raises FormatError otherwise."""
    found, offset = [], 0
    try:
        for _ in range(count):
            code, dimensions = struct.unpack_from("!BB", data, offset)
            if code not in _NAMES or dimensions > MAX_DIMENSIONS:
                raise FormatError(f"a tensor descriptor has dtype code {code} and {dimensions} dimensions")
            shape = struct.unpack_from(f"!{dimensions}I", data, offset + 2)
            offset += 2 + 4 * dimensions
            found.append(TensorHeader(_NAMES[code], shape))
    except struct.error as exc:
        raise FormatError(f"{count} tensor descriptors do not fit into {len(data)} bytes") from exc
    if offset != len(data):
        raise FormatError(f"{count} tensor descriptors take {offset} bytes, the frame has {len(data)}")
    return tuple(found)
