"""What the runs of one process share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stage_runtime.stage.computing import ComputeThread, Loader
from stage_runtime.stage.neighbours import Neighbours


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """What the runs of one process share."""

    device: str
    accelerator: str
    threads: int
    quota: float | None
    oversubscribed: bool
    shards_dir: Path
    inputs_dir: Path
    loader: Loader
    compute: ComputeThread
    neighbours: Neighbours
