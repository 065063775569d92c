"""Where reference outputs lie: beside the inputs, named after both that they came from."""

from __future__ import annotations

from pathlib import Path

TENSOR = "output"


def reference_path(inputs_dir: Path, inputs_id: str, manifest_id: str) -> Path:
    """Give the file of a model's outputs for these inputs; `roles/model_shards` knows the name too."""
    return inputs_dir / f"{inputs_id}-{manifest_id}.safetensors"
