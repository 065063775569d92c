"""How often the kernel killed a process for lack of memory, where this process lives.

Counted by control groups (``oom_kill`` of ``memory.events``, or ``memory.oom_control`` of version 1) where one limits
the memory, else by the machine (``/proc/vmstat``): kills on its other devices are nobody's business here.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stage_runtime.telemetry.groups import own_groups, read_lines
from stage_runtime.telemetry.limits import read_limits

_FILES = ("memory.events", "memory.oom_control")


def memory_kills(proc: Path = Path("/proc")) -> int:
    """Give the number of kills up to now; 0 where the kernel does not count them."""
    if read_limits(proc).memory_bytes is None:
        return _counted(read_lines(proc / "vmstat"))
    return sum(_counted(read_lines(folder / name)) for folder, _ in own_groups(proc) for name in _FILES)


def _counted(lines: Iterable[str]) -> int:
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
