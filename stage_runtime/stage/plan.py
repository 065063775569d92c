"""What one stage has to do in a cell, worked out from the cell and the manifest."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import msgspec

from stage_runtime.codecs.choice import check_writable
from stage_runtime.errors import CellError, FormatError, ShardError
from stage_runtime.formats.cell import Cell, CellStage, CodecName, EngineName
from stage_runtime.formats.manifest import Manifest, TensorSpec
from stage_runtime.stage.deadline import MOST_S
from stage_runtime.wire.frames import MAX_PAYLOAD_BYTES, TensorHeader, pack_descriptors

ENGINES: tuple[EngineName, ...] = get_args(EngineName)
CODECS: tuple[CodecName, ...] = get_args(CodecName)
# Enough to receive one batch and to compute another while a third waits between the two.
_MOST_SLOTS = 3
# What is noted of each batch takes memory from the beginning of a run.
MOST_BATCHES = 1_000_000
_MOST_MBIT, _MOST_RTT_MS = 1e7, 1e7


@dataclass(frozen=True, kw_only=True)
class StagePlan:
    """One stage's part: its blocks, and what goes in, out, and comes back at the end."""

    cell: Cell
    stage: int
    takes: TensorHeader
    gives: TensorHeader
    result: TensorHeader

    @property
    def mine(self) -> CellStage:
        """This stage."""
        return self.cell.stages[self.stage]

    @property
    def below(self) -> CellStage | None:
        """The next stage, if this is not the last."""
        following = self.stage + 1
        return self.cell.stages[following] if following < len(self.cell.stages) else None

    @property
    def total(self) -> int:
        """How many batches go through: those of the warm-up and the measured ones."""
        return self.cell.warmup + self.cell.batches

    @property
    def round_after(self) -> int:
        """After how many batches the stages compute alone for the first time; 0 where they do so at the end only.

        That empties the chain.  Where it is to be full, some of the warm-up follows to fill it again.
        """
        return min(self.cell.warmup, 1) if self.cell.window > 1 else self.cell.warmup

    @property
    def slots(self) -> int:
        """How many inputs this stage holds at once."""
        return min(self.cell.window, _MOST_SLOTS, self.total)


def plan_stage(cell: Cell, stage: int, manifest: Manifest) -> StagePlan:
    """Work out a stage's part; raises FormatError when the cell contradicts itself or the manifest."""
    check_cell(cell, manifest)
    mine = cell.stages[stage]
    gives = _crossing(manifest, mine.last, cell.batch)
    if stage + 1 < len(cell.stages):
        check_writable(cell.codec, gives)
    return StagePlan(
        cell=cell,
        stage=stage,
        takes=_crossing(manifest, mine.first, cell.batch),
        gives=gives,
        result=_crossing(manifest, len(manifest.blocks), cell.batch),
    )


def check_cell(cell: Cell, manifest: Manifest) -> None:
    """Raise FormatError unless the stages cover all blocks in order and the numbers make sense."""
    where = f"cell {cell.cell_id} ({cell.model} {cell.split})"
    for name in ("batch", "batches", "window"):
        if getattr(cell, name) < 1:
            raise FormatError(f"{where}: {name} is {getattr(cell, name)}, at least 1")
    if cell.warmup < 0 or not 0 < cell.timeout_s <= MOST_S:
        raise FormatError(f"{where}: warmup is {cell.warmup} and timeout_s {cell.timeout_s}")
    if cell.warmup + cell.batches > MOST_BATCHES:
        raise FormatError(f"{where}: {cell.warmup} + {cell.batches} batches, at most {MOST_BATCHES}")
    for stage in cell.stages:
        rate_good = stage.link_mbit is None or 0 < stage.link_mbit <= _MOST_MBIT
        if not rate_good or not 0 <= (stage.link_rtt_ms or 0) <= _MOST_RTT_MS:
            raise FormatError(f"{where}: a link of {stage.link_mbit} Mbit/s and {stage.link_rtt_ms} ms")
    if not cell.silence_s > 0:
        raise FormatError(f"{where}: silence_s is {cell.silence_s}, more than 0")
    if cell.engine not in ENGINES or cell.codec not in CODECS:
        raise FormatError(
            f"{where}: engine {cell.engine} with codec {cell.codec}; "
            f"known engines: {', '.join(ENGINES)}; known codecs: {', '.join(CODECS)}"
        )
    bounds = [0, *(stage.last for stage in cell.stages)]
    covered = all(
        stage.first == before and stage.first <= stage.last for stage, before in zip(cell.stages, bounds, strict=False)
    )
    if not covered or bounds[-1] != len(manifest.blocks):
        told = ", ".join(f"{stage.device} [{stage.first}, {stage.last})" for stage in cell.stages)
        raise FormatError(f"{where}: stages {told} do not cover blocks 0 to {len(manifest.blocks)} in order")


def _crossing(manifest: Manifest, point: int, batch: int) -> TensorHeader:
    """Describe what crosses before block ``point``."""
    spec: TensorSpec = manifest.input if point == 0 else manifest.blocks[point - 1].output
    crossing = TensorHeader(spec.dtype, (batch, *spec.shape))
    pack_descriptors((crossing,))
    if crossing.payload_bytes > MAX_PAYLOAD_BYTES:
        raise FormatError(
            f"{batch} images are {crossing.payload_bytes} bytes before block {point}, at most {MAX_PAYLOAD_BYTES} can "
            "be sent; take a smaller batch"
        )
    return crossing


@functools.lru_cache(maxsize=4)
def read_manifest(shards_dir: Path, manifest_id: str) -> Manifest:
    """Read a manifest that lies on this device; its id names its content, so it is kept."""
    path = shards_dir / manifest_id / "manifest.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as exc:
        raise ShardError(f"{path}: {exc.strerror}; the model_shards role brings it") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ShardError(f"{path} is no manifest ({exc}); remove its folder and provision again") from exc


def check_device(cell: Cell, stage: int, device: str) -> None:
    """Raise CellError when this is not the device that the cell means."""
    if not 0 <= stage < len(cell.stages):
        raise CellError(device, f"cell {cell.cell_id} has no stage {stage}")
    meant = cell.stages[stage]
    if meant.device != device:
        raise CellError(
            device,
            f"this stage is {device}, but the cell expects {meant.device} at {meant.address}:{meant.port}; "
            "check data_address in the inventory",
        )
