"""Faults, caused for real on a virtual device."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.virtual_devices import VirtualTestbed

# Takes memory until the kernel ends it.
_HOG = "held = []\nwhile True: held.append(bytearray(b'x') * 2**24)"
_PATIENCE_S = 120.0


def until(reached: Callable[[], bool], what: str) -> None:
    """Wait for something that other processes do; fail after a generous while."""
    end = time.monotonic() + _PATIENCE_S
    while not reached():
        assert time.monotonic() < end, f"in vain: {what}"
        time.sleep(0.05)


def pids_on(bed: VirtualTestbed, device: str) -> list[int]:
    """Give this machine's numbers of the processes on a device."""
    listed = subprocess.run(
        ["/usr/sbin/ip", "netns", "pids", f"{bed.prefix}-{device}"], capture_output=True, text=True, check=True
    )
    return [int(pid) for pid in listed.stdout.split()]


def stage_on(bed: VirtualTestbed, device: str) -> int | None:
    """Give this machine's number of the stage process on a device; None without one."""
    for pid in pids_on(bed, device):
        with contextlib.suppress(OSError):
            if b"stage_runtime.stage" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                return pid
    return None


def strike(bed: VirtualTestbed, device: str, number: signal.Signals) -> None:
    """Send the stage on a device a signal."""
    pid = stage_on(bed, device)
    assert pid is not None, f"no stage runs on {device}"
    os.kill(pid, number)


def exhaust_memory(bed: VirtualTestbed, device: str) -> None:
    """Take a device's memory until the kernel has killed its stage, for which it is the first choice."""
    pid = stage_on(bed, device)
    assert pid is not None, f"no stage runs on {device}"
    Path(f"/proc/{pid}/oom_score_adj").write_text("1000")
    with bed.start(device, [sys.executable, "-c", _HOG]) as hog:
        until(lambda: not _lives(pid), "the stage outlived the memory")
        hog.wait(_PATIENCE_S)


def _lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    return False


@contextlib.contextmanager
def unplugged(bed: VirtualTestbed, device: str) -> Iterator[None]:
    """Take a device's data link down, and up again: nothing is reset, and nobody is told."""
    _set_link(bed, device, "down")
    try:
        yield
    finally:
        _set_link(bed, device, "up")


def _set_link(bed: VirtualTestbed, device: str, state: str) -> None:
    subprocess.run(
        ["/usr/sbin/ip", "-n", f"{bed.prefix}-{device}", "link", "set", "data0", state], check=True, timeout=30
    )
