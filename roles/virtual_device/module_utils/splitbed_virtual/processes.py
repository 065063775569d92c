"""Which processes belong to a device or to its emulator, and their end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from .cgroups import Hierarchy
from .machine import is_alive, read, read_json, start_time
from .network import NETNS_FOLDER
from .spec import Testbed, VirtualDeviceError

PATIENCE_S = 10.0
EMULATOR_MODULE = "links.emulator"


def of_device(name: str, testbed: Testbed, hierarchies: Iterable[Hierarchy]) -> set[int]:
    """Find every process of a device by what is there: its record, its groups, its namespace."""
    found: set[int] = set()
    record = read_json(testbed.run_dir / name / "process.json")
    if is_alive(record):
        found.add(int(record["pid"]))
    for hierarchy in hierarchies:
        members = read(hierarchy.group(testbed, name) / "cgroup.procs")
        found.update(int(pid) for pid in (members or "").split())
    return {pid for pid in found | in_namespace(f"{testbed.prefix}-{name}") if start_time(pid)}


def in_namespace(netns: str) -> set[int]:
    """Find the processes whose network namespace is the named one."""
    try:
        named = (NETNS_FOLDER / netns).stat()
    except FileNotFoundError:
        return set()
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            own = (entry / "ns" / "net").stat()
        except OSError:
            continue
        if (own.st_dev, own.st_ino) == (named.st_dev, named.st_ino):
            found.add(int(entry.name))
    return found


def of_emulator(testbed: Testbed) -> set[int]:
    """Find the emulator of this prefix by its command line, which names our socket."""
    wanted = ["-m", EMULATOR_MODULE, "--socket", str(testbed.emulator_socket)]
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if any(words[at : at + len(wanted)] == wanted for at in range(len(words))):
            found.add(int(entry.name))
    return found


def end(what: str, find: Callable[[], set[int]]) -> bool:
    """Kill what ``find`` finds until it finds nothing more; tell whether there was anything.

    SIGKILL, because the first process of a PID namespace ignores what it does not handle.
    """
    deadline = time.monotonic() + PATIENCE_S
    found = find() - {os.getpid()}
    had_any = bool(found)
    while found:
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline:
            message = f"{what}: processes {sorted(found)} do not end; look at `cat /proc/<pid>/stack`"
            raise VirtualDeviceError(message)
        time.sleep(0.01)
        found = find() - {os.getpid()}
    return had_any
