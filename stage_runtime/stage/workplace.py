"""What the runs of one process share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stage_runtime.engines.choice import Engines
from stage_runtime.stage.computing import ComputeThread
from stage_runtime.stage.neighbours import Neighbours


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """What the runs of one process share; ``processors`` is its quota, None where there is none."""

    device: str
    accelerator: str
    threads: int
    oversubscribed: bool
    shards_dir: Path
    inputs_dir: Path
    engines: Engines
    compute: ComputeThread
    neighbours: Neighbours
    processors: float | None = None
    quota_period_s: float | None = None
