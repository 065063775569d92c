"""Faults of a device's disk, clock and login, and of the control node's disk, caused for real."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.virtual_devices import VirtualTestbed

# Read by the device's interpreter whenever it starts: from the moment that the file exists, its clock on the wall is
# an hour slow.
_SLOW_CLOCK = """
import datetime, os, time
_real = time.time

def _late():
    return _real() - (3600.0 if os.path.exists({flag!r}) else 0.0)

class _Late(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(_late(), tz)

time.time = _late
time.time_ns = lambda: int(_late() * 1e9)
datetime.datetime = _Late
"""


def _inside(bed: VirtualTestbed, device: str, *words: str) -> str:
    """Run a command among a device's mounts and processes, without logging in."""
    pid = json.loads((Path("/run") / bed.prefix / device / "process.json").read_text())["pid"]
    (first,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    enter = ["nsenter", "--target", first, "--mount", "--pid", "--", *words]
    return subprocess.run(enter, check=True, capture_output=True, text=True, timeout=60).stdout


class Disk:
    """A small disk of its own that a device has for everything this project keeps there."""

    def __init__(self, bed: VirtualTestbed, device: str, megabytes: int) -> None:
        self._bed = bed
        self._device = device
        self.home = bed.root / device / "splitbed"
        self.home.mkdir(exist_ok=True)
        given = ["-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(self.home)]
        _inside(bed, device, "mount", *given)

    def fill(self, leave_kb: int) -> None:
        """Leave so much room and no more."""
        self.free()
        script = (
            'left=$(df --output=avail -k "$1" | tail -1); head -c "$(( (left - $2) * 1024 ))" /dev/zero > "$1/filler"'
        )
        _inside(self._bed, self._device, "sh", "-c", script, "sh", str(self.home), str(leave_kb))

    def free(self) -> None:
        """Give the room back."""
        _inside(self._bed, self._device, "rm", "-f", str(self.home / "filler"))

    def names(self, folder: str) -> str:
        """Give the names of all that lies in a folder of it, deep down."""
        script = 'find "$1" 2>/dev/null || true'
        return _inside(self._bed, self._device, "sh", "-c", script, "sh", str(self.home / folder))

    def remove(self) -> None:
        """Take the disk away."""
        _inside(self._bed, self._device, "umount", "-l", str(self.home))


@contextlib.contextmanager
def small_disk(bed: VirtualTestbed, device: str, megabytes: int) -> Iterator[Disk]:
    """Give a device a small disk for a while, empty at first."""
    disk = Disk(bed, device, megabytes)
    try:
        yield disk
    finally:
        disk.remove()


@contextlib.contextmanager
def small_results(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount a small disk for results at a folder of this machine; give a file of it that takes room away."""
    folder.mkdir()
    subprocess.run(["/usr/bin/mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], check=True)
    try:
        yield folder / "filler"
    finally:
        subprocess.run(["/usr/bin/umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def slow_clock(home: Path) -> Iterator[Path]:
    """Let a provisioned device's programs read a clock that a flag's file sets back by an hour; give the flag."""
    (packages,) = home.glob("venv/lib/python3*/site-packages")
    flag = home.parent / "clock_is_back"
    # zz: after the packages that the other file of its kind adds
    hook, module = packages / "zz_clock.pth", packages / "zz_clock.py"
    module.write_text(_SLOW_CLOCK.format(flag=str(flag)))
    hook.write_text("import zz_clock\n")
    try:
        yield flag
    finally:
        for file in (hook, module, flag):
            file.unlink(missing_ok=True)


@contextlib.contextmanager
def refusing_ssh(bed: VirtualTestbed, device: str) -> Iterator[None]:
    """Have connections to a device refused, new ones and those that stand: this machine takes its address."""
    inventory = json.loads(bed.inventory.read_text())
    address = inventory["all"]["children"]["pis"]["hosts"][device]["ansible_host"]
    words = ["/usr/sbin/ip", "address", "add", f"{address}/32", "dev", "lo"]
    subprocess.run(words, check=True)
    try:
        yield
    finally:
        words[2] = "delete"
        subprocess.run(words, check=True)
