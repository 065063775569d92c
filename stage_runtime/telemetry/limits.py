"""What this process may use: processor quota and memory limit of its control groups (v1 and v2).

A process can have limits at every level of its hierarchy; the smallest counts.  Roots other than
the real ones can be given, which is how the tests describe a machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

# cgroup v1 writes "no limit" as the largest multiple of a page
_UNLIMITED_BYTES = 2**62


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Processors (None: no quota; else how many, fractions allowed) and memory bytes (None: no limit)."""

    processors: float | None
    memory_bytes: int | None
    memory_used_bytes: int | None


def read_limits(proc: Path = Path("/proc")) -> Limits:
    """Read the control groups of this process; what cannot be read counts as no limit."""
    processors: list[float] = []
    memory: list[tuple[int, int]] = []
    for folder in _own_groups(proc):
        quota = _quota(folder)
        if quota is not None:
            processors.append(quota)
        limit = _memory(folder)
        if limit is not None:
            memory.append(limit)
    tightest = min(memory, key=lambda found: found[0] - found[1], default=None)
    return Limits(
        processors=min(processors, default=None),
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


def _own_groups(proc: Path) -> Iterator[Path]:
    """Yield the folders of this process's control groups, each with all its ancestors."""
    mounts = list(_cgroup_mounts(proc))
    for line in _lines(proc / "self" / "cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        names = set(controllers.split(",")) if controllers else None
        for root, mount, mounted in mounts:
            # version 2 has no controllers on either side
            if (names is None) != (mounted is None) or not (names or {""}) & (mounted or {""}):
                continue
            try:
                relative = PurePosixPath(path).relative_to(root)
            except ValueError:
                relative = PurePosixPath()
            folder = mount / relative
            yield folder
            yield from (parent for parent in folder.parents if parent.is_relative_to(mount))


def _cgroup_mounts(proc: Path) -> Iterator[tuple[str, Path, set[str] | None]]:
    """Yield (root, mount point, controllers) of each hierarchy; controllers is None for version 2."""
    for line in _lines(proc / "self" / "mountinfo"):
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) < 5 or len(kind) < 3:  # noqa: PLR2004  (the columns of mountinfo, see proc(5))
            continue
        if kind[0] == "cgroup2":
            yield fields[3], Path(fields[4]), None
        elif kind[0] == "cgroup":
            yield fields[3], Path(fields[4]), set(kind[2].split(","))


def _quota(folder: Path) -> float | None:
    both = _first(folder / "cpu.max").split()
    if len(both) == 2 and both[0] != "max":  # noqa: PLR2004  (quota and period)
        return int(both[0]) / int(both[1])
    quota = _first(folder / "cpu.cfs_quota_us")
    period = _first(folder / "cpu.cfs_period_us")
    if quota and period and int(quota) > 0:
        return int(quota) / int(period)
    return None


def _memory(folder: Path) -> tuple[int, int] | None:
    """Give the limit and what is used of it (without reclaimable file pages)."""
    limit = _first(folder / "memory.max") or _first(folder / "memory.limit_in_bytes")
    used = _first(folder / "memory.current") or _first(folder / "memory.usage_in_bytes")
    if not limit or limit == "max" or not used or int(limit) >= _UNLIMITED_BYTES:
        return None
    statistics = dict(line.split() for line in _lines(folder / "memory.stat"))
    reclaimable = int(statistics.get("total_inactive_file", statistics.get("inactive_file", 0)))
    return int(limit), max(0, int(used) - reclaimable)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []


def _first(path: Path) -> str:
    lines = _lines(path)
    return lines[0].strip() if lines else ""
