"""The shard manifest: what a split model consists of, block by block."""

from __future__ import annotations

from typing import Literal

import msgspec

from stage_runtime.formats.ready import make_ready

MANIFEST_SCHEMA = 1

Granularity = Literal["paper", "all"]


class TensorSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The shape of one sample (without the batch dimension), its dtype and its bytes."""

    shape: tuple[int, ...]
    dtype: str
    bytes_per_sample: int


class BlockEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One block: its name, its shard file and what it gives.

    ``sha256`` is that of the whole safetensors file and is also the file's name
    (``<sha256>.safetensors``), so equal blocks are stored once.  ``output`` is what crosses
    the split point after this block.
    """

    index: int
    name: str
    sha256: str
    file_bytes: int
    parameter_bytes: int
    output: TensorSpec


class WeightsSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the weights came from.

    ``kind`` is ``seeded`` (random, from ``seed``), ``torchvision`` (``name`` is the weights
    name) or ``file`` (``name`` is the file's name, ``sha256`` its content).
    """

    kind: Literal["seeded", "torchvision", "file"]
    name: str | None = None
    sha256: str | None = None
    seed: int | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model cut into blocks.

    ``manifest_id`` is a hash of everything else, and names the folder it lies in.
    ``split_points`` are the legal ones: point ``k`` cuts before block ``k``
    (``1 <= k < len(blocks)``).
    """

    schema: int
    manifest_id: str
    model: str
    granularity: Granularity
    num_classes: int
    weights: WeightsSource
    input: TensorSpec
    blocks: tuple[BlockEntry, ...]
    split_points: tuple[int, ...]
    torch: str
    torchvision: str


make_ready(Manifest)
