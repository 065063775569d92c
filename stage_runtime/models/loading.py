"""Load a stage's blocks on a device.

Only the stage's own blocks take memory: the model is built on ``meta``, cut like the manifest,
and the blocks' weights are mapped from their shard files.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from pathlib import Path
from typing import cast

import torch
from safetensors import safe_open
from torch import nn

from stage_runtime.errors import ModelError, ShardError
from stage_runtime.formats.manifest import BlockEntry, Manifest, TensorSpec
from stage_runtime.models import zoo
from stage_runtime.models.block_tensors import assign_tensors, release_tensors
from stage_runtime.models.skeleton import Skeleton
from stage_runtime.shards.store import ShardStore, require_blocks

_SKELETONS_KEPT = 2
# channels-last order is one of four dimensions
_IMAGES = 4


class LoadedStage:
    """Blocks ``[first, last)`` of a model, ready to run; valid until its loader's next ``load``.

    ``load_ms`` is the time that loading took, ``parameter_bytes`` what the weights take.
    Without blocks (``first == last``) it passes its input on.
    """

    def __init__(
        self,
        manifest: Manifest,
        first: int,
        last: int,
        module: nn.Module,
        load_ms: float,
        *,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self.manifest = manifest
        self.first = first
        self.last = last
        self.module = module
        self.load_ms = load_ms
        self._memory_format = memory_format
        self.parameter_bytes = sum(entry.parameter_bytes for entry in manifest.blocks[first:last])

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Run the blocks on a batch that lies on the loader's device.

        The input is left as it is, but the output may be the input itself or a view of it.
        """
        with torch.inference_mode():
            if batch.dim() == _IMAGES:
                batch = batch.contiguous(memory_format=self._memory_format)
            return cast("torch.Tensor", self.module(batch))

    @property
    def steps(self) -> nn.Sequential:
        """One module per block, which compute together what ``forward`` does."""
        parts = list(self.module.children())
        extra = len(parts) - (self.last - self.first)  # a copy of the input, which is the first block's to make
        return nn.Sequential(*([nn.Sequential(*parts[: extra + 1])] if extra else parts[:1]), *parts[extra + 1 :])

    def input_spec(self, batch: int) -> tuple[tuple[int, ...], torch.dtype]:
        """Give the shape and dtype of the input for a batch of this many samples."""
        return _batch_spec(_spec_before(self.manifest, self.first), batch)

    def output_spec(self, batch: int) -> tuple[tuple[int, ...], torch.dtype]:
        """Give the shape and dtype of the output for a batch of this many samples."""
        return _batch_spec(_spec_before(self.manifest, self.last), batch)


class StageLoader:
    """Load stages from a folder of shards; blocks that the next stage also needs stay loaded.

    ``device`` is a torch device (``cpu``, ``cuda:0``), ``memory_format`` the order of the weights and inputs that have
    four dimensions: the mapped file's own, or a copy in another.  Not for use by several threads at once.
    """

    def __init__(
        self, shards_dir: Path, device: str = "cpu", memory_format: torch.memory_format = torch.contiguous_format
    ) -> None:
        self.device = device
        self._memory_format = memory_format
        self._store = ShardStore(shards_dir)
        self._skeletons: OrderedDict[str, Skeleton] = OrderedDict()

    def load(self, manifest_id: str, first: int, last: int) -> LoadedStage:
        """Load blocks ``[first, last)``, and release every other block.

        Raises ModelError for a range that the model does not have, ShardError when a file is
        missing or altered, FormatError when the manifest is none.
        """
        begun = time.perf_counter_ns()
        skeleton = self._skeleton(manifest_id)
        manifest = skeleton.manifest
        if not 0 <= first <= last <= len(manifest.blocks):
            raise ModelError(
                f"{manifest.model} has blocks 0 to {len(manifest.blocks) - 1}; [{first}, {last}) is no range of them"
            )
        for known in self._skeletons.values():
            _release_outside(known, range(first, last) if known is skeleton else range(0))
        entries = manifest.blocks[first:last]
        try:
            require_blocks(self._store, manifest, entries)
        except ShardError:
            self.release()  # what is loaded is mapped from its file, and what was altered there is altered here
            raise
        for entry in entries:
            if entry.index not in skeleton.loaded:
                self._load_block(skeleton, entry)
        module = skeleton.chain(first, last)
        load_ms = (time.perf_counter_ns() - begun) / 1e6
        return LoadedStage(manifest, first, last, module, load_ms, memory_format=self._memory_format)

    def without_weights(self, manifest_id: str) -> LoadedStage:
        """Release every block, and give the whole model on ``meta``, where it gives shapes and takes no memory.

        Raises what ``load`` raises for a manifest.
        """
        skeleton = self._skeleton(manifest_id)
        self.release()
        blocks = len(skeleton.manifest.blocks)
        return LoadedStage(skeleton.manifest, 0, blocks, skeleton.chain(0, blocks), 0.0)

    def release(self) -> None:
        """Release every block."""
        for known in self._skeletons.values():
            _release_outside(known, range(0))

    def _skeleton(self, manifest_id: str) -> Skeleton:
        skeleton = self._skeletons.get(manifest_id)
        if skeleton is None:
            zoo.import_torchvision()
            skeleton = Skeleton(self._store.manifest(manifest_id))
            self._skeletons[manifest_id] = skeleton
            while len(self._skeletons) > _SKELETONS_KEPT:
                self._skeletons.popitem(last=False)
        self._skeletons.move_to_end(manifest_id)
        return skeleton

    def _load_block(self, skeleton: Skeleton, entry: BlockEntry) -> None:
        path = self._store.block_path(entry.sha256)
        with safe_open(path, framework="pt", device=self.device) as file:
            tensors = {name: self._placed(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118  (not a mapping)
        where = f"{skeleton.manifest.model}, block {entry.index} ({entry.name})"
        assign_tensors(where, skeleton.blocks[entry.index], tensors)
        skeleton.loaded.add(entry.index)

    def _placed(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.contiguous(memory_format=self._memory_format) if tensor.dim() == _IMAGES else tensor


def _release_outside(skeleton: Skeleton, wanted: range) -> None:
    for index in [index for index in skeleton.loaded if index not in wanted]:
        release_tensors(skeleton.blocks[index])
        skeleton.loaded.discard(index)


def _spec_before(manifest: Manifest, block: int) -> TensorSpec:
    return manifest.blocks[block - 1].output if block else manifest.input


def _batch_spec(spec: TensorSpec, batch: int) -> tuple[tuple[int, ...], torch.dtype]:
    return (batch, *spec.shape), getattr(torch, spec.dtype)
