"""Where the tensors of a block lie in its safetensors file: offsets that a graph can name.

The file is eight bytes with the header's length, the header, a JSON object, and then the tensors' raw bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from stage_runtime.errors import ShardError
from stage_runtime.formats.ready import make_ready

_LENGTH_BYTES = 8


class Placed(NamedTuple):
    """A tensor's raw bytes: its dtype as safetensors writes it, its shape, its first byte, how many."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    length: int


class _Entry(msgspec.Struct, frozen=True):
    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def placed_tensors(path: Path) -> dict[str, Placed]:
    """Read a shard's header, and say where each of its tensors lies; raises ShardError when it is none."""
    try:
        with path.open("rb") as file:
            length = min(int.from_bytes(file.read(_LENGTH_BYTES), "little"), path.stat().st_size)
            header = file.read(length)
        entries = msgspec.json.decode(header, type=dict[str, msgspec.Raw])
        entries.pop("__metadata__", None)
        found = {name: msgspec.json.decode(raw, type=_Entry) for name, raw in entries.items()}
    except FileNotFoundError as exc:
        raise ShardError(f"no block file at {path}; make the model's shards again") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ShardError(f"{path} is no safetensors file ({exc}); remove it and make the model's shards again") from exc
    data = _LENGTH_BYTES + length
    return {
        name: Placed(
            entry.dtype, entry.shape, data + entry.data_offsets[0], entry.data_offsets[1] - entry.data_offsets[0]
        )
        for name, entry in found.items()
    }


make_ready(_Entry)
