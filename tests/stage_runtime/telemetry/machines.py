"""Machines laid out in folders, as the kernel would show them."""

from __future__ import annotations

from pathlib import Path

from stage_runtime.telemetry.groups import Roots


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class Machine:
    """A machine whose counts a test sets; with ``version`` its device is half a core of a control group."""

    def __init__(self, folder: Path, version: int | None = None) -> None:
        self.roots = Roots(proc=folder / "proc", sys=folder / "sys")
        self._groups = folder / "groups"
        self._version = version
        write(self.roots.proc / "self" / "cgroup", {None: "", 1: "2:cpuacct:/d\n1:cpu:/d\n", 2: "0::/d\n"}[version])
        mounts = {
            None: "",
            1: f"1 0 0:1 / {self._groups}/cpu rw - cgroup cgroup rw,cpu\n"
            f"2 0 0:2 / {self._groups}/acct rw - cgroup cgroup rw,cpuacct\n",
            2: f"1 0 0:1 / {self._groups} rw - cgroup2 cgroup2 rw\n",
        }
        write(self.roots.proc / "self" / "mountinfo", mounts[version])
        if version == 1:
            write(self._groups / "cpu" / "d" / "cpu.cfs_quota_us", "5000\n")
            write(self._groups / "cpu" / "d" / "cpu.cfs_period_us", "10000\n")
        elif version == 2:
            write(self._groups / "d" / "cpu.max", "5000 10000\n")
        self.count()

    def count(self, *, machine: int = 0, stolen: int = 0, pages: int = 0, device: int = 0, waits: int = 0) -> None:
        """Set what has been counted: ticks of the machine, pages swapped, ms of the device and of waiting."""
        write(self.roots.proc / "stat", f"cpu  {machine} 0 0 500 7 0 0 {stolen} 0 0\ncpu0 1 2 3\n")
        write(self.roots.proc / "vmstat", f"nr_free_pages 9\npswpin {pages}\npswpout {pages}\n")
        for thread, share in (("10", 1), ("11", 2)):
            write(self.roots.proc / "self" / "task" / thread / "schedstat", f"123 {waits * share * 10**6} 7\n")
        throttled = device // 2
        if self._version == 1:
            write(self._groups / "cpu" / "d" / "cpu.stat", f"nr_periods 3\nthrottled_time {throttled * 10**6}\n")
            write(self._groups / "acct" / "d" / "cpuacct.usage", f"{device * 10**6}\n")
        elif self._version == 2:
            write(self._groups / "d" / "cpu.stat", f"usage_usec {device * 1000}\nthrottled_usec {throttled * 1000}\n")

    def file(self, path: str, text: str) -> None:
        """Write a file under /sys."""
        write(self.roots.sys / path, text)
