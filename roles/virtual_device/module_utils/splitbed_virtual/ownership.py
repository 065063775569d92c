"""Whose devices a prefix's are, and one writer at a time."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .cgroups import Hierarchy
from .machine import boot_id, read_json, write_atomically
from .network import NETNS_FOLDER, look_outside
from .spec import Device, Testbed, VirtualDeviceError

RECORD = "owner.json"


@contextmanager
def locked(testbed: Testbed, *, create: bool) -> Iterator[None]:
    """Hold the prefix for this process alone; the lock is the folder itself, so it leaves no trace.

    Without ``create`` a folder that is not there is not made, and nothing is held.  A folder that is
    still empty afterwards is removed.
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
                try:
                    yield
                finally:
                    _remove_if_empty(testbed.run_dir)
                return
        finally:
            os.close(descriptor)


def _remove_if_empty(folder: Path) -> None:
    # not empty, or gone already
    with suppress(OSError):
        folder.rmdir()


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def is_claimed(testbed: Testbed, hierarchies: Iterable[Hierarchy]) -> bool:
    """Tell whether what bears this prefix on this machine is ours.

    The claim is recorded before anything else is made and removed after everything else; the
    groups' name is no one else's, so they tell too when the record was lost.
    """
    recorded = (testbed.run_dir / RECORD).is_file()
    return recorded or any(hierarchy.group(testbed).is_dir() for hierarchy in hierarchies)


def check_unclaimed(testbed: Testbed) -> None:
    """Raise VirtualDeviceError where an unclaimed prefix already names something of somebody else's."""
    found = [str(entry) for entry in _children(testbed.run_dir)]
    found += [entry.name for entry in _children(NETNS_FOLDER) if entry.name.startswith(f"{testbed.prefix}-")]
    found += [name for name in (testbed.bridge, testbed.data_bridge) if name in look_outside().by_name]
    if found:
        message = (
            f"virtual_device_prefix {testbed.prefix} is taken on this machine by what no virtual device made: "
            f"{', '.join(sorted(found))}; choose another prefix"
        )
        raise VirtualDeviceError(message)


def check_addresses(device: Device, testbed: Testbed) -> None:
    """Raise VirtualDeviceError where another device of the prefix has one of the addresses."""
    mine = {str(device.management_address), str(device.data_address)}
    for folder in _children(testbed.run_dir):
        other = read_json(folder / "device.json")
        taken = mine & {other.get("management_address"), other.get("data_address")}
        if folder.name != device.name and taken:
            message = (
                f"{device.name}: the address {taken.pop()} is that of {folder.name}, which is up; change one in "
                "the inventory, or take the other down"
            )
            raise VirtualDeviceError(message)


def _children(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def record_of(testbed: Testbed) -> dict[str, str]:
    """Give what is recorded of the devices that are up: ``owner`` and link ``backend``."""
    record = read_json(testbed.run_dir / RECORD)
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
    write_atomically(testbed.run_dir / RECORD, json.dumps(record) + "\n", 0o644)
