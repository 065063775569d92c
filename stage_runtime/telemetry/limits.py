"""What this process may use: processor quota and memory limit of its control groups (v1 and v2).

A process can have limits at every level of its hierarchy; the smallest counts.  Roots other than
the real ones can be given, which is how the tests describe a machine.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from stage_runtime.telemetry.groups import own_groups, quota, quota_period_s, read_line, read_lines

# cgroup v1 writes "no limit" as the largest multiple of a page
_UNLIMITED_BYTES = 2**62


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Processors (None: no quota; else how many, fractions allowed), its period, and memory bytes (None: no limit)."""

    processors: float | None
    memory_bytes: int | None
    memory_used_bytes: int | None
    period_s: float | None = None


def read_limits(proc: Path = Path("/proc")) -> Limits:
    """Read the control groups of this process; what cannot be read counts as no limit."""
    processors: list[tuple[float, float | None]] = []
    memory: list[tuple[int, int]] = []
    for folder, _ in own_groups(proc):
        share = quota(folder)
        if share is not None:
            processors.append((share, quota_period_s(folder)))
        limit = _memory(folder)
        if limit is not None:
            memory.append(limit)
    tightest = min(memory, key=lambda found: found[0] - found[1], default=None)
    share, period_s = min(processors, key=lambda found: found[0], default=(None, None))
    return Limits(
        processors=share,
        period_s=period_s,
        memory_bytes=tightest[0] if tightest else None,
        memory_used_bytes=tightest[1] if tightest else None,
    )


def threads_allowed(limits: Limits, affinity: int | None = None) -> int:
    """Give how many threads can compute at once: whole processors within the quota, at least one.

    A thread more than the quota carries would leave the others waiting for it at every barrier while
    the group is throttled.
    """
    cores = affinity if affinity is not None else len(os.sched_getaffinity(0))
    if limits.processors is not None:
        cores = min(cores, int(limits.processors))
    return max(1, cores)


def _memory(folder: Path) -> tuple[int, int] | None:
    """Give the limit and what is used of it, without file pages: the kernel takes those back when it needs them.

    The active ones too, as MemAvailable counts them: a model's weights are mapped from their files.
    """
    limit = read_line(folder / "memory.max") or read_line(folder / "memory.limit_in_bytes")
    used = read_line(folder / "memory.current") or read_line(folder / "memory.usage_in_bytes")
    if not limit or limit == "max" or not used or int(limit) >= _UNLIMITED_BYTES:
        return None
    statistics = dict(line.split() for line in read_lines(folder / "memory.stat"))
    reclaimable = sum(
        int(statistics.get(f"total_{name}", statistics.get(name, 0))) for name in ("inactive_file", "active_file")
    )
    return int(limit), max(0, int(used) - reclaimable)
