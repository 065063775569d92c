"""Say where virtual devices get in each other's way on the control node's cores."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sweep.inventory import Device


def contention_warnings(devices: Sequence[Device], cores: int) -> tuple[str, ...]:
    """Give the warnings that rows of a chain of `devices` carry on a machine of `cores` cores.

    A virtual device without ``virtual_cores`` may use any core.  Devices that are not virtual
    have a machine of their own and are not counted.
    """
    virtual = [device for device in devices if device.cpus is not None]
    if not virtual:
        return ()
    warnings = []
    total = sum(device.cpus or 0.0 for device in virtual)
    if total > cores:
        warnings.append(f"oversubscribed: {len(virtual)} virtual devices with {total:g} CPUs on {cores} cores")
    elif total == cores:
        warnings.append(
            f"no spare core: virtual devices take all {cores} cores that the control node and links also use"
        )
    for pinned, sharing in _by_cores(virtual).items():
        asked = sum(device.cpus or 0.0 for device in sharing)
        if pinned and asked > len(pinned):
            names = ", ".join(device.name for device in sharing)
            where = ",".join(map(str, pinned))
            warnings.append(f"oversubscribed: {names} ask for {asked:g} CPUs of core {where}")
    return tuple(warnings)


def _by_cores(devices: Sequence[Device]) -> dict[tuple[int, ...], list[Device]]:
    groups: dict[tuple[int, ...], list[Device]] = defaultdict(list)
    for device in devices:
        groups[device.cores].append(device)
    return groups
