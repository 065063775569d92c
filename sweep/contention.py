"""Say where devices of one machine (virtual ones, or its processes) get in each other's way on its cores."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.testbed import Device


def contention_warnings(devices: Sequence[Device], cores: int) -> tuple[str, ...]:
    """Give the warnings that rows of a chain of `devices` carry on a machine of `cores` cores.

    A device without cores of its own may use any.  Devices without a share of the processor have a machine of
    their own, or what the others leave of this one, and are not counted.
    """
    held = [device for device in devices if device.cpus is not None]
    if not held:
        return ()
    warnings = []
    total = sum(device.cpus or 0.0 for device in held)
    if total > cores:
        warnings.append(f"oversubscribed: {len(held)} devices with {total:g} CPUs on {cores} cores")
    elif total == cores:
        warnings.append(f"no spare core: the devices take all {cores} cores, which the driver and the links use too")
    for pinned in dict.fromkeys(device.cores for device in held if device.cores):
        sharing = [device for device in held if device.cores and set(device.cores) <= set(pinned)]
        asked = sum(device.cpus or 0.0 for device in sharing)
        if asked > len(pinned):
            names = ", ".join(device.name for device in sharing)
            where = ",".join(map(str, pinned))
            warnings.append(f"oversubscribed: {names} ask for {asked:g} CPUs of core {where}")
    return tuple(warnings)
