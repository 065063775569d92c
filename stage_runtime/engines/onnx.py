"""ONNX Runtime on the CPU: a stage's graph comes from the control node, its weights from the shards."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from stage_runtime.errors import EngineError, ModelError, ShardError
from stage_runtime.formats.cell import EngineName
from stage_runtime.formats.manifest import Manifest
from stage_runtime.graphs.places import BATCH, border, border_spec, graph_path
from stage_runtime.shards.store import ShardStore, require_blocks

# As ONNX numbers the dtypes that cross borders.
_ELEMENTS = {torch.float32: 1, torch.float16: 10, torch.float64: 11, torch.bfloat16: 16}
_ERRORS_ONLY = 3


class OnnxBlocks:
    """One stage in an ONNX Runtime session, fused across the borders of its blocks."""

    engine: EngineName = "onnxruntime"

    def __init__(self, session: Any, manifest: Manifest, first: int, last: int) -> None:
        self.load_ms = 0.0
        self._session = session
        self._binding = session.io_binding()
        self._takes, self._gives = border(first), border(last)
        output = border_spec(manifest, last)
        self._sample = output.shape
        self._dtype: torch.dtype = getattr(torch, output.dtype)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Run the blocks; see the interface.  Neither input nor output is copied."""
        batch = batch.contiguous()
        output = torch.empty((batch.shape[0], *self._sample), dtype=self._dtype)
        self._binding.bind_input(self._takes, "cpu", 0, _ELEMENTS[batch.dtype], tuple(batch.shape), batch.data_ptr())
        self._binding.bind_output(self._gives, "cpu", 0, _ELEMENTS[self._dtype], tuple(output.shape), output.data_ptr())
        self._session.run_with_iobinding(self._binding)
        return output

    def close(self) -> None:
        """Free the session's memory; the blocks are of no use afterwards."""
        self._session = self._binding = None


class NoBlocks:
    """A stage without blocks: it passes its input on."""

    engine: EngineName = "onnxruntime"
    load_ms = 0.0

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Give the batch itself."""
        return batch


class OnnxEngine:
    """Blocks as ONNX Runtime sessions, one at a time, with so many computing threads.

    The same graph for the same batch size stays loaded.
    """

    def __init__(self, shards_dir: Path, device: str, threads: int) -> None:
        self._store = ShardStore(shards_dir)
        self._device = device
        self._threads = threads
        self._loaded: tuple[tuple[bytes, int], OnnxBlocks] | None = None

    def load(self, manifest_id: str, first: int, last: int, batch: int) -> OnnxBlocks | NoBlocks:
        """Load blocks; see the interface."""
        begun = time.perf_counter_ns()
        runtime = self._runtime()
        manifest = self._store.manifest(manifest_id)
        if not 0 <= first <= last <= len(manifest.blocks):
            raise ModelError(
                f"{manifest.model} has blocks 0 to {len(manifest.blocks) - 1}; [{first}, {last}) is no range of them"
            )
        if first == last:
            self.release()
            return NoBlocks()
        try:
            require_blocks(self._store, manifest, manifest.blocks[first:last])
        except ShardError:
            self.release()  # it reads the files in place
            raise
        path = graph_path(self._store.folder, manifest_id, first, last)
        wanted = (_read_graph(path, first, last), batch)
        if self._loaded is None or self._loaded[0] != wanted:
            self.release()
            session = self._session(runtime, path, *wanted)
            self._loaded = (wanted, OnnxBlocks(session, manifest, first, last))
        blocks = self._loaded[1]
        blocks.load_ms = (time.perf_counter_ns() - begun) / 1e6
        return blocks

    def release(self) -> None:
        """Let go of all blocks."""
        if self._loaded is not None:
            self._loaded[1].close()
            self._loaded = None

    def _runtime(self) -> ModuleType:
        if self._device != "cpu":
            raise EngineError(
                f"engine onnxruntime computes on the CPU, and this stage on {self._device}; "
                "take engine channels_last there, or start the stage with accelerator cpu"
            )
        try:
            return importlib.import_module("onnxruntime")
        except ImportError as exc:
            raise EngineError(
                f"engine onnxruntime is not there ({exc}); provision the device again: "
                "ansible-playbook playbooks/provision.yml"
            ) from exc

    def _session(self, runtime: ModuleType, path: Path, graph: bytes, batch: int) -> Any:
        try:
            return runtime.InferenceSession(graph, self._options(runtime, batch), providers=["CPUExecutionProvider"])
        except Exception as exc:  # ONNX Runtime has a dozen errors of its own
            raise EngineError(
                f"ONNX Runtime {runtime.__version__} cannot load {path} ({exc}); remove the file there and in the "
                "control node's cache, and begin the sweep again"
            ) from exc

    def _options(self, runtime: ModuleType, batch: int) -> Any:
        options = runtime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = _ERRORS_ONLY
        options.add_free_dimension_override_by_name(BATCH, batch)
        for key, value in {
            # the graph is given as bytes, and names files that lie with the blocks
            "session.model_external_initializers_file_folder_path": str(self._store.block_path("").parent),
            # a waiting thread that spins takes the core from the stage's own sending and receiving
            "session.intra_op.allow_spinning": "0",
            "session.inter_op.allow_spinning": "0",
        }.items():
            options.add_session_config_entry(key, value)
        return options


def _read_graph(path: Path, first: int, last: int) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as exc:
        raise EngineError(
            f"no graph of blocks [{first}, {last}) at {path}; the control node makes it "
            "(python -m stage_runtime.graphs make) and the model_shards role brings it"
        ) from exc
