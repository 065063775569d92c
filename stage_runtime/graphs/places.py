"""Where graphs lie beside the shards, and what they call things; needs neither torch nor onnx.

::

    <shards>/<manifest_id>/graphs/<first>-<last>.onnx      on the control node and on devices
"""

from __future__ import annotations

from pathlib import Path

from stage_runtime.formats.manifest import Manifest, TensorSpec

BATCH = "batch"
"""The name of a graph's first dimension, which is fixed when it is loaded."""


def graphs_folder(shards: Path, manifest_id: str) -> Path:
    """Give the folder of a model's graphs."""
    return shards / manifest_id / "graphs"


def graph_path(shards: Path, manifest_id: str, first: int, last: int) -> Path:
    """Give where the graph of blocks ``[first, last)`` lies."""
    return graphs_folder(shards, manifest_id) / f"{first}-{last}.onnx"


def border(point: int) -> str:
    """Name the value that crosses before block ``point``."""
    return f"border_{point}"


def border_spec(manifest: Manifest, point: int) -> TensorSpec:
    """Describe one sample of it."""
    return manifest.blocks[point - 1].output if point else manifest.input
