"""The CPU quota, the cores and the memory limit of a device, under cgroup v1 or v2."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .machine import MakeFolder, Step, Write, read
from .spec import Device, Testbed, VirtualDeviceError, core_list, parse_cores

CONTROLLERS = ("cpu", "cpuset", "memory")
# Counts a device's processor time.  A controller of its own in v1 alone, and there often mounted with `cpu`.
ACCOUNTING = "cpuacct"
MEMORY_AND_SWAP = "memory.memsw.limit_in_bytes"
# A kernel that does not account for swap lacks these files, and then has no swap to limit.
OPTIONAL = (MEMORY_AND_SWAP, "memory.swap.max")


@dataclass(frozen=True, kw_only=True)
class Hierarchy:
    """Where one controller is mounted, and which generation of cgroup it belongs to."""

    controller: str
    mount: Path
    version: int

    def group(self, testbed: Testbed, name: str = "") -> Path:
        """Name a device's folder, or without a name the one of all devices of the prefix.

        The ending keeps clear of groups that others make, such as those of containers.
        """
        parent = self.mount / f"{testbed.prefix}.devices"
        return parent / name if name else parent


def find_hierarchies(mounts: str, unified_controllers: dict[str, str]) -> tuple[Hierarchy, ...]:
    """Find the three controllers, from the text of ``/proc/mounts``, and v1's accounting if it lies apart.

    ``unified_controllers`` maps each cgroup v2 mount point to its ``cgroup.controllers``.  A
    controller belongs to v1 or to v2, never to both.  Raises VirtualDeviceError naming one that
    is in neither.
    """
    found: dict[str, Hierarchy] = {}
    for line in mounts.splitlines():
        _, mount, kind, options, *_ = line.split()
        if kind == "cgroup2":
            version, here = 2, unified_controllers.get(mount, "").split()
        elif kind == "cgroup":
            version, here = 1, options.split(",")
        else:
            continue
        for controller in (*CONTROLLERS, ACCOUNTING):
            if controller in here:
                found.setdefault(controller, Hierarchy(controller=controller, mount=Path(mount), version=version))
    missing = [controller for controller in CONTROLLERS if controller not in found]
    if missing:
        message = (
            f"this kernel offers no cgroup controller {' and '.join(missing)}; on a Raspberry Pi add "
            "`cgroup_enable=cpuset cgroup_enable=memory cgroup_memory=1` to the kernel's command line"
        )
        raise VirtualDeviceError(message)
    if ACCOUNTING in found and found[ACCOUNTING].mount == found["cpu"].mount:
        del found[ACCOUNTING]
    return tuple(found[controller] for controller in (*CONTROLLERS, ACCOUNTING) if controller in found)


def hierarchies_here() -> tuple[Hierarchy, ...]:
    """Find the controllers of this machine."""
    mounts = read(Path("/proc/mounts")) or ""
    unified = [line.split()[1] for line in mounts.splitlines() if line.split()[2] == "cgroup2"]
    return find_hierarchies(mounts, {mount: read(Path(mount) / "cgroup.controllers") or "" for mount in unified})


def settings(device: Device, testbed: Testbed, hierarchy: Hierarchy) -> dict[str, str]:
    """Give the wanted content of each control file of one controller.

    Swap counts as memory: a limit that lets a device swap would measure the disk.
    """
    quota = str(round(device.cpus * testbed.period_us))
    limit = str(device.memory_mb * 2**20)
    wanted = {
        ("cpu", 1): {"cpu.cfs_period_us": str(testbed.period_us), "cpu.cfs_quota_us": quota},
        ("cpu", 2): {"cpu.max": f"{quota} {testbed.period_us}"},
        ("cpuset", 1): {"cpuset.cpus": core_list(device.cores)},
        ("cpuset", 2): {"cpuset.cpus": core_list(device.cores)},
        ("memory", 1): {"memory.limit_in_bytes": limit, MEMORY_AND_SWAP: limit},
        ("memory", 2): {"memory.max": limit, "memory.swap.max": "0"},
        (ACCOUNTING, 1): {},
    }
    return wanted[hierarchy.controller, hierarchy.version]


def plan(device: Device, testbed: Testbed, hierarchies: tuple[Hierarchy, ...]) -> list[Step]:
    """Plan what is missing until the device's groups exist with their settings in force."""
    steps: list[Step] = []
    made: set[Path] = set()
    for hierarchy in hierarchies:
        parent, group = hierarchy.group(testbed), hierarchy.group(testbed, device.name)
        steps += _plan_parent(hierarchy, parent, made)
        steps += _plan_folder(group, f"{hierarchy.controller} group of {device.name}", made)
        wanted = settings(device, testbed, hierarchy)
        if hierarchy.controller == "cpuset" and hierarchy.version == 1:
            wanted["cpuset.mems"] = read(hierarchy.mount / "cpuset.mems") or "0"
        steps += [
            Write(
                what=f"set {file} of {device.name} to {value}",
                path=group / file,
                text=value,
                mode=None,
                optional=file in OPTIONAL,
            )
            for file, value in _in_order(group, wanted)
            if not _in_force(group / file, value)
        ]
    return steps


def _plan_folder(group: Path, name: str, made: set[Path]) -> list[Step]:
    """Plan a group once, though with v2 all controllers share it."""
    if group.is_dir() or group in made:
        return []
    made.add(group)
    return [MakeFolder(what=f"make the {name}", path=group)]


def _plan_parent(hierarchy: Hierarchy, parent: Path, made: set[Path]) -> list[Step]:
    """Plan the group of all devices, and what lets its children use the controller."""
    steps: list[Step] = []
    if hierarchy.version == 2:  # noqa: PLR2004 - the generation of cgroup
        steps += _delegate(hierarchy.mount, hierarchy.controller)
    steps += _plan_folder(parent, f"{hierarchy.controller} group {parent.name}", made)
    if hierarchy.version == 2:  # noqa: PLR2004 - the generation of cgroup
        steps += _delegate(parent, hierarchy.controller)
    elif hierarchy.controller == "cpuset":
        # A v1 cpuset starts empty, and a child may only have what its parent has.
        for file in ("cpuset.cpus", "cpuset.mems"):
            everything = read(hierarchy.mount / file) or "0"
            if not _in_force(parent / file, everything):
                what = f"set {file} of the group {parent.name}"
                steps.append(Write(what=what, path=parent / file, text=everything, mode=None))
    return steps


def _delegate(group: Path, controller: str) -> list[Step]:
    switch = group / "cgroup.subtree_control"
    if controller in (read(switch) or "").split():
        return []
    what = f"enable {controller} below {group} (in a container: share the host's cgroup namespace)"
    return [Write(what=what, path=switch, text=f"+{controller}", mode=None)]


def _in_order(group: Path, wanted: dict[str, str]) -> list[tuple[str, str]]:
    """Order the two memory limits of v1: the one that counts swap may never be the smaller."""
    items = list(wanted.items())
    present = read(group / MEMORY_AND_SWAP)
    if MEMORY_AND_SWAP in wanted and present is not None and int(wanted[MEMORY_AND_SWAP]) > int(present):
        items.reverse()
    return items


def _in_force(file: Path, value: str) -> bool:
    present = read(file)
    if present is None:
        return file.name in OPTIONAL and file.parent.is_dir()
    if file.name == "cpuset.cpus":
        return bool(present) and parse_cores(present) == parse_cores(value)
    return present == value
