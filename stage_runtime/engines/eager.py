"""PyTorch as it is (``eager``), and with activations and weights in channels-last order."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from stage_runtime.models.loading import LoadedStage, StageLoader

TorchEngineName = Literal["eager", "channels_last"]

_FORMATS = {"eager": torch.contiguous_format, "channels_last": torch.channels_last}


class TorchBlocks:
    """A loaded stage under the name of its engine."""

    def __init__(self, engine: TorchEngineName, stage: LoadedStage) -> None:
        self.engine: TorchEngineName = engine
        self.load_ms = stage.load_ms
        self.stage = stage

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Run the blocks; see the interface."""
        return self.stage.forward(batch)


class TorchEngine:
    """Blocks as torch modules whose weights are mapped from their shard files."""

    def __init__(self, name: TorchEngineName, shards_dir: Path, device: str = "cpu") -> None:
        self.loader = StageLoader(shards_dir, device, _FORMATS[name])
        self._name: TorchEngineName = name

    def load(self, manifest_id: str, first: int, last: int, batch: int) -> TorchBlocks:  # noqa: ARG002  (any will do)
        """Load blocks; see the interface."""
        return TorchBlocks(self._name, self.loader.load(manifest_id, first, last))

    def release(self) -> None:
        """Let go of all blocks."""
        self.loader.release()
