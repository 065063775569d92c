"""The engines of one stage process, by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stage_runtime.allocator import give_back_freed_memory
from stage_runtime.engines.base import Blocks, Engine
from stage_runtime.engines.eager import TorchEngine
from stage_runtime.engines.graphed import GraphEngine
from stage_runtime.engines.onnx import OnnxEngine
from stage_runtime.engines.trial import fastest
from stage_runtime.errors import EngineError
from stage_runtime.formats.cell import EngineName
from stage_runtime.graphs.places import border_spec
from stage_runtime.models.loading import StageLoader
from stage_runtime.shards.store import ShardStore

# The likeliest first: the others are given up the sooner for it.
_TRIED: tuple[EngineName, ...] = ("onnxruntime", "cudagraphs", "channels_last", "eager")


def local_engines(shards_dir: Path, device: str, threads: int) -> Engines:
    """Give the engines of this machine for a torch device (``cpu``, ``cuda:0``) and so many computing threads."""
    return Engines(
        {
            "eager": TorchEngine("eager", shards_dir, device),
            "channels_last": TorchEngine("channels_last", shards_dir, device),
            "onnxruntime": OnnxEngine(shards_dir, device, threads),
            "cudagraphs": GraphEngine(shards_dir, device),
        },
        ShardStore(shards_dir),
        device,
    )


class Engines:
    """Loads blocks with the engine that a cell names; only one engine holds blocks at a time.

    ``best`` is tried out on the ``device`` for each range and batch size of a model, once, and remembered.
    """

    def __init__(
        self, engines: Mapping[EngineName, Engine], store: ShardStore | None = None, device: str = "cpu"
    ) -> None:
        self._engines = engines
        self._store = store
        self._device = device
        self._last: tuple[EngineName, str, int, int, int] | None = None
        self._best: dict[tuple[str, int, int, int], EngineName] = {}

    @property
    def loader(self) -> StageLoader:
        """The eager engine's blocks, for whoever wants to see single blocks; lets go of all others'."""
        eager = self._engines["eager"]
        if not isinstance(eager, TorchEngine):
            raise EngineError("engine eager is not torch's here")
        self._release_all_but("eager")
        return eager.loader

    def load(self, name: EngineName, manifest_id: str, first: int, last: int, batch: int) -> Blocks:
        """Load blocks ``[first, last)`` with an engine, and let go of all other blocks.

        Raises what :meth:`stage_runtime.engines.base.Engine.load` raises.
        """
        if name == "best":
            name = self._find_best(manifest_id, first, last, batch)
        engine = self._engines.get(name)
        if engine is None:
            raise EngineError(f"engine {name} is not there; known: {', '.join(sorted(self._engines))}")
        self._release_all_but(name)
        blocks = engine.load(manifest_id, first, last, batch)
        wanted = (name, manifest_id, first, last, batch)
        if wanted != self._last:
            give_back_freed_memory()  # what the last blocks needed, and what loading these did, says nothing of them
            self._last = wanted
        return blocks

    def _find_best(self, manifest_id: str, first: int, last: int, batch: int) -> EngineName:
        if self._store is None:
            raise EngineError("engine best needs a folder of shards")
        if first == last:
            return "eager"  # nothing to compute
        key = (manifest_id, first, last, batch)
        if key not in self._best:
            spec = border_spec(self._store.manifest(manifest_id), first)
            self._best[key] = fastest(
                [name for name in _TRIED if name in self._engines],
                lambda name: self.load(name, manifest_id, first, last, batch),
                spec,
                batch,
                self._device,
            )
        return self._best[key]

    def _release_all_but(self, name: EngineName) -> None:
        for other, engine in self._engines.items():
            if other != name:
                engine.release()
