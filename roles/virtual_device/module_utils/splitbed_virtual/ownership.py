"""Whose devices a prefix's are, and one writer at a time."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .machine import boot_id, read_json, write_atomically
from .spec import Testbed, VirtualDeviceError


@contextmanager
def locked(testbed: Testbed, *, create: bool) -> Iterator[None]:
    """Hold the prefix for this process alone; the lock is the folder itself, so it leaves no trace.

    Without ``create`` a folder that is not there is not made, and nothing is held.
    """
    while True:
        if create:
            testbed.run_dir.mkdir(exist_ok=True)
        try:
            descriptor = os.open(testbed.run_dir, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            yield
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Whoever held it before may have removed the folder; then the lock is on nothing.
            if _is_same(descriptor, testbed.run_dir):
                yield
                return
        finally:
            os.close(descriptor)


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def record_of(testbed: Testbed) -> dict[str, str]:
    """Give what is recorded of the devices that are up: ``owner`` and link ``backend``."""
    record = read_json(testbed.run_dir / "owner.json")
    return record if record.get("boot") == boot_id() else {}


def check_owner(testbed: Testbed, *, take_over: bool) -> None:
    """Raise VirtualDeviceError where the prefix belongs to another inventory that still exists."""
    owner = record_of(testbed).get("owner", testbed.owner)
    if owner == testbed.owner or take_over or not Path(owner).is_dir():
        return
    message = (
        f"the virtual devices {testbed.prefix} belong to {owner}, not to {testbed.owner}; take them down "
        "there, or give this inventory its own virtual_device_prefix, networks and addresses"
    )
    raise VirtualDeviceError(message)


def claim(testbed: Testbed, backend: str) -> None:
    """Record whose devices these are and how their links are made."""
    record = {"owner": testbed.owner, "backend": backend, "boot": boot_id()}
    write_atomically(testbed.run_dir / "owner.json", json.dumps(record) + "\n", 0o644)
