"""Take devices down by what is there, whatever state a crash left it in."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from . import data_link, network, ownership, processes
from .cgroups import Hierarchy, hierarchies_here
from .machine import ask, command, read_json
from .spec import MARKER, Testbed, VirtualDeviceError, interface_name

# A namespace's interfaces vanish a moment after it does.
SETTLE_S = 5.0


def take_down(testbed: Testbed, names: Iterable[str], *, check: bool, take_over: bool) -> list[str]:
    """Remove the named devices, or without names all of the prefix; give what was removed.

    What all devices share goes with the last one.  Nothing is taken from memory: namespaces,
    groups, folders and processes are looked for.  Raises VirtualDeviceError naming what remains.
    """
    with ownership.locked(testbed, create=False):
        hierarchies = hierarchies_here()
        is_claimed = ownership.is_claimed(testbed, hierarchies)
        if is_claimed:
            ownership.check_owner(testbed, take_over=take_over)
        present = find_devices(testbed, hierarchies, is_claimed=is_claimed)
        chosen = present & set(names) if names else present
        removed = sorted(chosen)
        for name in removed:
            if not check:
                if is_claimed:
                    _end_device(name, testbed, hierarchies)
                _remove_folders(name, testbed)
        is_last = is_claimed and present == chosen
        if is_last:
            removed += _remove_shared(testbed, hierarchies, check=check)
        if present == chosen and not check:
            _remove_empty(testbed.root)
        if is_claimed and not check:
            _verify(testbed, hierarchies, chosen, everything=is_last)
    return removed


def find_devices(testbed: Testbed, hierarchies: Iterable[Hierarchy], *, is_claimed: bool) -> set[str]:
    """Name every device of the prefix that any trace is left of.

    While nobody has claimed the prefix, what bears it on this machine is somebody else's, and only
    working directories and known host keys, which a restart of the machine leaves, are ours.
    """
    start = f"{testbed.prefix}-"
    found = set()
    if is_claimed:
        found |= {entry.name.removeprefix(start) for entry in _files(network.NETNS_FOLDER, start)}
        for place in (testbed.run_dir, *(hierarchy.group(testbed) for hierarchy in hierarchies)):
            found |= {entry.name for entry in _folders(place)}
    found |= {entry.name for entry in _folders(testbed.root) if _is_ours(entry, testbed)}
    found |= {entry.name.removeprefix(start) for entry in _files(testbed.ssh_dir / "known_hosts", start)}
    return found


def _folders(place: Path) -> list[Path]:
    return [entry for entry in place.iterdir() if entry.is_dir()] if place.is_dir() else []


def _files(place: Path, start: str) -> list[Path]:
    return [entry for entry in place.iterdir() if entry.name.startswith(start)] if place.is_dir() else []


def _is_ours(work: Path, testbed: Testbed) -> bool:
    """Tell by its marker whether a folder is a device's; no other folder is ever removed."""
    return read_json(work / MARKER).get("prefix") == testbed.prefix


def _end_device(name: str, testbed: Testbed, hierarchies: tuple[Hierarchy, ...]) -> None:
    """End a device's processes; remove its interfaces, its namespace and its groups."""
    netns = f"{testbed.prefix}-{name}"
    # The processes first: their sockets close while the interface still carries the news, so
    # that nobody who is connected waits for an answer.
    processes.end(name, lambda: processes.of_device(name, testbed, hierarchies))
    if name in (data_link.attached(testbed) or {}):
        ask(testbed.emulator_socket, data_link.detach_request(name))
    outside = network.look_outside()
    for kind in ("m", "d"):
        interface = interface_name(testbed.prefix, name, kind)
        if interface in outside.by_name:
            command(("ip", "link", "delete", interface))
    if (network.NETNS_FOLDER / netns).exists():
        command(("ip", "netns", "delete", netns))
    for hierarchy in hierarchies:
        _remove_group(hierarchy.group(testbed, name))


def _remove_folders(name: str, testbed: Testbed) -> None:
    """Remove what a device has on disk."""
    (testbed.ssh_dir / "known_hosts" / f"{testbed.prefix}-{name}").unlink(missing_ok=True)
    shutil.rmtree(testbed.run_dir / name, ignore_errors=True)
    if _is_ours(testbed.root / name, testbed):
        # The marker goes last: a crash on the way leaves a folder that is still known as ours.
        for entry in (testbed.root / name).iterdir():
            if entry.name != MARKER:
                _remove(entry)
        shutil.rmtree(testbed.root / name)


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()


def _remove_group(group: Path) -> None:
    """Remove a cgroup and those below it; the kernel may take a moment to see it empty."""
    if not group.is_dir():
        return
    for child in _folders(group):
        _remove_group(child)
    deadline = time.monotonic() + SETTLE_S
    while True:
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError as exc:
            if time.monotonic() > deadline:
                message = f"the cgroup {group} cannot be removed: {exc}"
                raise VirtualDeviceError(message) from exc
            time.sleep(0.01)
        else:
            return


def _remove_shared(testbed: Testbed, hierarchies: Iterable[Hierarchy], *, check: bool) -> list[str]:
    """Remove the emulator, the bridges, the groups and the folders of the whole prefix."""
    removed = []
    if processes.of_emulator(testbed):
        removed.append("emulator")
        if not check:
            processes.end("the link emulator", lambda: processes.of_emulator(testbed))
    outside = network.look_outside()
    for bridge in (testbed.bridge, testbed.data_bridge):
        if outside.by_name.get(bridge, {}).get("linkinfo", {}).get("info_kind") == "bridge":
            removed.append(bridge)
            if not check:
                command(("ip", "link", "delete", bridge))
    groups = [hierarchy.group(testbed) for hierarchy in hierarchies]
    removed += [str(group) for group in dict.fromkeys(groups) if group.is_dir()]
    if testbed.run_dir.is_dir():
        removed.append(str(testbed.run_dir))
    if not check:
        for group in groups:
            _remove_group(group)
        shutil.rmtree(testbed.run_dir, ignore_errors=True)
    return removed


def _remove_empty(root: Path) -> None:
    """Remove the folder of the working directories, and the one it lies in, where they are empty."""
    for place in (root, root.parent):
        try:
            place.rmdir()
        except OSError:
            return


def _verify(testbed: Testbed, hierarchies: tuple[Hierarchy, ...], chosen: set[str], *, everything: bool) -> None:
    """Look again; raise VirtualDeviceError naming every trace that is left."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        left = sorted(find_devices(testbed, hierarchies, is_claimed=True) & chosen)
        outside = network.look_outside().by_name
        ours = {interface_name(testbed.prefix, name, kind) for name in chosen for kind in ("m", "d")}
        if everything:
            ours |= {testbed.bridge, testbed.data_bridge}
        left += sorted(ours & outside.keys())
        if not left:
            return
        if time.monotonic() > deadline:
            message = f"the virtual devices {testbed.prefix} are not all gone; left: {', '.join(left)}"
            raise VirtualDeviceError(message)
        time.sleep(0.02)
