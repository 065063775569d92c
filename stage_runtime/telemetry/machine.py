"""Which machine this process runs on, and on which of its cores: devices may share one."""

from __future__ import annotations

import os
from pathlib import Path

from stage_runtime.telemetry.groups import read_line


def read_machine(proc: Path = Path("/proc")) -> str:
    """Give a name that all devices under one kernel share, other for every start of it; empty where there is none."""
    return read_line(proc / "sys" / "kernel" / "random" / "boot_id")


def own_cores() -> tuple[int, ...]:
    """Give the numbers of the processor cores that this process may run on."""
    return tuple(sorted(os.sched_getaffinity(0)))
