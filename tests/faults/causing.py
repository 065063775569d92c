"""Faults, caused for real on a virtual device."""

from __future__ import annotations

import contextlib
import json
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
_PATIENCE_S = 300.0


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


def received_bytes(bed: VirtualTestbed, device: str) -> int:
    """Give how much has come over a device's data link."""
    words = ["/usr/sbin/ip", "-n", f"{bed.prefix}-{device}", "-j", "-s", "link", "show", "data0"]
    told = json.loads(subprocess.run(words, capture_output=True, check=True, timeout=30).stdout)
    count: int = told[0]["stats64"]["rx"]["bytes"]
    return count


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


@contextlib.contextmanager
def narrowed(bed: VirtualTestbed, device: str, rate: str) -> Iterator[None]:
    """Let a device send over its data link no faster than a rate of ``tc``."""
    inside = ["/usr/sbin/tc", "-n", f"{bed.prefix}-{device}", "qdisc"]
    limit = ["tbf", "rate", rate, "burst", "16kb", "latency", "500ms"]
    subprocess.run([*inside, "add", "dev", "data0", "root", *limit], check=True, timeout=30)
    try:
        yield
    finally:
        subprocess.run([*inside, "del", "dev", "data0", "root"], check=True, timeout=30)
