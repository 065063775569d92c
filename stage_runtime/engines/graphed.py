"""PyTorch in channels-last order whose kernels a GPU is given as one recorded graph (``cudagraphs``).

A small batch leaves a GPU waiting for Python to launch the next kernel; a CUDA graph launches all of them at once.
Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch

from stage_runtime.engines.base import Blocks
from stage_runtime.engines.eager import TorchEngine
from stage_runtime.errors import EngineError
from stage_runtime.formats.cell import EngineName

# What a recording must not see for the first time: cuDNN's choice of algorithms and the libraries' workspaces.
_WARM_UPS = 3


class _Recording(NamedTuple):
    """Recorded kernels, and the graph's own memory for their input and output."""

    graph: torch.cuda.CUDAGraph
    takes: torch.Tensor
    gives: torch.Tensor


class RecordedBlocks:
    """Blocks that record their kernels at the first batch of a shape, and from then on replay them."""

    engine: EngineName = "cudagraphs"

    def __init__(self, blocks: Blocks) -> None:
        self.load_ms = blocks.load_ms
        self._blocks = blocks
        self._recording: _Recording | None = None

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Run the blocks; see the interface.  The output is copied out of the graph's own memory, on the GPU."""
        if self._recording is None or self._recording.takes.shape != batch.shape:
            self._recording = self._record(batch)
        self._recording.takes.copy_(batch)
        self._recording.graph.replay()
        return self._recording.gives.clone()

    @torch.inference_mode()
    def _record(self, batch: torch.Tensor) -> _Recording:
        takes = batch.clone()
        aside = torch.cuda.Stream(batch.device)  # type: ignore[no-untyped-call]  # torch's own gap
        aside.wait_stream(torch.cuda.current_stream(batch.device))
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UPS):
                self._blocks.forward(takes)
        torch.cuda.current_stream(batch.device).wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        try:
            # other threads of the stage copy to the GPU meanwhile, which is none of the recording's business
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                gives = self._blocks.forward(takes)
        except RuntimeError as exc:
            raise EngineError(
                f"these blocks cannot be recorded as a CUDA graph ({exc}); remedy: engine channels_last"
            ) from exc
        return _Recording(graph, takes, gives)


class GraphEngine:
    """Blocks on a CUDA device as recorded graphs."""

    def __init__(self, shards_dir: Path, device: str) -> None:
        self._torch = TorchEngine("channels_last", shards_dir, device)
        self._device = device

    def load(self, manifest_id: str, first: int, last: int, batch: int) -> Blocks:
        """Load blocks; see the interface."""
        if torch.device(self._device).type != "cuda":
            raise EngineError(
                f"engine cudagraphs computes on an NVIDIA GPU, and this stage on {self._device}; "
                "take engine onnxruntime there"
            )
        blocks = self._torch.load(manifest_id, first, last, batch)
        return blocks if first == last else RecordedBlocks(blocks)

    def release(self) -> None:
        """Let go of all blocks, and of what was recorded."""
        self._torch.release()
