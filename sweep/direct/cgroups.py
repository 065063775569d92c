"""Make control groups with a processor quota, under cgroup v1 or v2, where this user may."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

# As short as the virtual devices' (roles/virtual_device): at 100 ms a batch would see single throttlings.
PERIOD_US = 10_000
_PARENT = "splitbed.direct"


class Hierarchy(NamedTuple):
    """Where the controller of processors is mounted, and its generation of cgroup."""

    mount: Path
    version: int


def find_hierarchy(mounts: str) -> Hierarchy | None:
    """Find the controller of processors in the text of ``/proc/mounts``; None where there is none."""
    for line in mounts.splitlines():
        _, mount, kind, options, *_ = line.split()
        if kind == "cgroup" and "cpu" in options.split(","):
            return Hierarchy(Path(mount), 1)
        if kind == "cgroup2" and "cpu" in _read(Path(mount) / "cgroup.controllers").split():
            return Hierarchy(Path(mount), 2)
    return None


class QuotaGroups:
    """Groups made by this process, removed by :meth:`close` once nothing runs in them."""

    def __init__(self, hierarchy: Hierarchy | None) -> None:
        self._hierarchy = hierarchy
        self._made: list[Path] = []

    def make(self, name: str, cpus: float) -> Path:
        """Make the group `name` with a quota of `cpus` processors and give its folder.

        Raises OSError where there is no such controller or this user may not.
        """
        if self._hierarchy is None:
            raise OSError("no cgroup controller of processors is mounted")
        mount, version = self._hierarchy
        parent = mount / _PARENT
        group = parent / name
        quota = str(round(cpus * PERIOD_US))
        if version == 1:
            self._make_folders(parent, group)
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(quota)
        else:
            _delegate(mount)
            self._make_folders(parent)
            _delegate(parent)
            self._make_folders(group)
            (group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
        return group

    def close(self) -> None:
        """Remove the groups; one that another sweep still uses stays."""
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):
                folder.rmdir()
        self._made.clear()

    def _make_folders(self, *folders: Path) -> None:
        for folder in folders:
            folder.mkdir(exist_ok=True)
            if folder not in self._made:
                self._made.append(folder)


def _delegate(group: Path) -> None:
    """Let children of a v2 group have quotas."""
    switch = group / "cgroup.subtree_control"
    if "cpu" not in _read(switch).split():
        switch.write_text("+cpu")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
