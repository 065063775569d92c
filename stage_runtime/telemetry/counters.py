"""What the kernel counts of the device since it was started; a mark's worth of small files."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from stage_runtime.telemetry.groups import Roots, own_groups, quota, read_lines, read_number

_NS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, kw_only=True)
class Counters:
    """Counts at one instant; None for what this device does not count.

    ``busy_ns`` is the device's processor time, over all cores, ``machine_ns`` that of the machine under
    it, the same unless a control group makes the device.  ``stolen_ns`` was withheld from the machine by
    its hypervisor, ``throttled_ns`` from the device by its own quota.  ``waited_ns`` is for how long each
    thread of this process was ready to run and did not, throttled or behind others.
    """

    busy_ns: int | None
    machine_ns: int | None
    stolen_ns: int | None
    throttled_ns: int | None
    swapped_bytes: int | None
    waited_ns: dict[int, int]


class DeviceCounters:
    """Reads them; a device with a processor quota is the control group that sets the tightest one."""

    def __init__(self, roots: Roots) -> None:
        self._proc = roots.proc
        self._group: Path | None = None
        self._usage: Path | None = None
        found = [(quota(folder), folder, mount) for folder, mount in own_groups(roots.proc)]
        limited = [(share, folder, mount) for share, folder, mount in found if share is not None]
        if not limited:
            return
        _, self._group, mount = min(limited, key=lambda each: each[0])
        place = self._group.relative_to(mount)
        # version 1 may have mounted the accounting elsewhere than the quota
        candidates = [root / place / "cpuacct.usage" for _, _, root in found]
        self._usage = next((path for path in candidates if path.is_file()), None)

    def read(self) -> Counters:
        """Read all of them."""
        machine, stolen = self._machine()
        busy, throttled = (machine, None) if self._group is None else self._device(self._group)
        return Counters(
            busy_ns=busy,
            machine_ns=machine,
            stolen_ns=stolen,
            throttled_ns=throttled,
            swapped_bytes=self._swapped(),
            waited_ns=self._waited(),
        )

    def _machine(self) -> tuple[int | None, int | None]:
        """Give busy and stolen time of all cores; columns of the first line of /proc/stat, see proc(5)."""
        lines = read_lines(self._proc / "stat")
        if not lines or not lines[0].startswith("cpu "):
            return None, None
        user, nice, system, _idle, _wait, irq, softirq, stolen = map(int, lines[0].split()[1:9])
        return (user + nice + system + irq + softirq) * _NS_PER_TICK, stolen * _NS_PER_TICK

    def _device(self, group: Path) -> tuple[int | None, int | None]:
        counts = _named(group / "cpu.stat")
        if "usage_usec" in counts:
            throttled = counts.get("throttled_usec")
            return counts["usage_usec"] * 1000, None if throttled is None else throttled * 1000
        return read_number(self._usage) if self._usage is not None else None, counts.get("throttled_time")

    def _swapped(self) -> int | None:
        counts = [int(line.split()[1]) for line in read_lines(self._proc / "vmstat") if line.startswith("pswp")]
        return sum(counts) * _PAGE_BYTES if counts else None

    def _waited(self) -> dict[int, int]:
        """Read what each thread waited on a run queue: the second number of its schedstat, see proc(5)."""
        tasks = f"{self._proc}/self/task"
        waits = {}
        # a file for each thread, so not by Path, which takes six times as long
        with contextlib.suppress(OSError):
            for task in os.listdir(tasks):  # noqa: PTH208 - see above
                with contextlib.suppress(OSError), open(f"{tasks}/{task}/schedstat", "rb", buffering=0) as file:  # noqa: PTH123 - see above
                    waits[int(task)] = int(file.read().split()[1])
        return waits


def _named(path: Path) -> dict[str, int]:
    """Read a file of names and numbers."""
    pairs = (line.split() for line in read_lines(path))
    return {name: int(value) for name, value in pairs}
