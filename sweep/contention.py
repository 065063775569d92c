"""Say where virtual devices get in each other's way on the control node's cores."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.testbed import Device


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
    for pinned in dict.fromkeys(device.cores for device in virtual if device.cores):
        sharing = [device for device in virtual if device.cores and set(device.cores) <= set(pinned)]
        asked = sum(device.cpus or 0.0 for device in sharing)
        if asked > len(pinned):
            names = ", ".join(device.name for device in sharing)
            where = ",".join(map(str, pinned))
            warnings.append(f"oversubscribed: {names} ask for {asked:g} CPUs of core {where}")
    return tuple(warnings)
