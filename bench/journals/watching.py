"""Run a command and note its time and its most memory, of all its processes together."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

_EVERY_S = 0.05


class Cost(NamedTuple):
    """What a command took: its exit status, wall and processor time, and the most memory at any moment.

    ``memory_mb`` is in MiB and counts a page that several processes share once (the kernel's PSS), ``largest_mb`` is
    the most that was resident in any one of them.
    """

    status: int
    wall_s: float
    cpu_s: float
    memory_mb: float
    largest_mb: float


def watch(command: Sequence[str], output: Path) -> Cost:
    """Run a command to its end, what it says into `output`."""
    begun = time.monotonic()
    most, largest = 0.0, 0.0
    cpu: dict[int, float] = {}
    with output.open("wb") as said, subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT) as process:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            own, resident = _memory(root, cpu)
            most, largest = max(most, own), max(largest, resident)
            time.sleep(_EVERY_S)
    return Cost(process.returncode, time.monotonic() - begun, sum(cpu.values()), most, largest)


def _memory(root: psutil.Process, cpu: dict[int, float]) -> tuple[float, float]:
    """Return the memory of a process and all below it, and that of the largest; note their processor time."""
    total, largest = 0.0, 0.0
    try:
        processes = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0.0, 0.0
    for process in processes:
        try:
            memory, times = process.memory_full_info(), process.cpu_times()
        except psutil.Error:
            continue  # it has just ended
        total += memory.pss / 2**20
        largest = max(largest, memory.rss / 2**20)
        cpu[process.pid] = times.user + times.system
    return total, largest
