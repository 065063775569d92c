"""Bring a device up, or repair what is missing of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from . import cgroups, data_link, kernel, login, network, ownership, preflight, processes
from .machine import Step, Write, read, take
from .spec import Device, Testbed, VirtualDeviceError


@dataclass(kw_only=True)
class Outcome:
    """What was done, in words; ``changed`` is whether that is anything."""

    backend: str
    done: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Tell whether anything was done."""
        return bool(self.done)


def bring_up(device: Device, testbed: Testbed, *, check: bool, take_over: bool) -> Outcome:
    """Bring one device up and make sure that it is; with ``check`` only say what would be done.

    Whatever is already as it should be is left alone.  Afterwards everything is looked at
    again.  Raises VirtualDeviceError naming what failed.
    """
    preflight.check(device, testbed)
    with ownership.locked(testbed, create=not check):
        if ownership.is_claimed(testbed, cgroups.hierarchies_here()):
            ownership.check_owner(testbed, take_over=take_over)
        else:
            ownership.check_unclaimed(testbed)
        ownership.check_addresses(device, testbed)
        record = ownership.record_of(testbed)
        outcome = Outcome(backend=data_link.choose_backend(testbed, record.get("backend")))
        if outcome.backend == "user":
            preflight.check_tun()
        if not check and (record.get("owner"), record.get("backend")) != (testbed.owner, outcome.backend):
            ownership.claim(testbed, outcome.backend)
        _work(device, testbed, outcome, check=check)
        if not check:
            _verify(device, testbed, outcome.backend)
    return outcome


def _work(device: Device, testbed: Testbed, outcome: Outcome, *, check: bool) -> None:
    """Go through the parts in the order in which they need one another."""
    hierarchies = cgroups.hierarchies_here()

    def follow(steps: list[Step]) -> None:
        for step in steps:
            if not check:
                take(step)
            outcome.done.append(step.what)

    follow(login.plan_client_key(testbed))
    follow(login.plan_host_key(device, testbed))
    follow(login.plan_files(device, testbed))
    follow(cgroups.plan(device, testbed, hierarchies))
    follow(_plan_management(device, testbed))
    follow(kernel.plan(device, kernel.look(device)))
    if outcome.backend == "user":
        follow(data_link.plan_emulator(testbed, data_link.attached(testbed)))
        if not check:
            data_link.wait_for_emulator(testbed)
    follow(_plan_data(device, testbed, outcome.backend))
    process = login.plan_process(device, testbed, hierarchies)
    if process and not check:
        processes.end(device.name, lambda: processes.of_device(device.name, testbed, hierarchies))
    follow(process)
    follow(_plan_record(device, testbed, outcome.backend))
    if not check:
        login.wait_for_greeting(device, testbed)


def _plan_management(device: Device, testbed: Testbed) -> list[Step]:
    outside, inside = network.look_outside(), network.look_inside(device.netns)
    gateway = f"{testbed.gateway}/{testbed.management.prefixlen}"
    return [
        *network.plan_bridge(testbed.bridge, outside, gateway),
        *network.plan_namespace(device, inside),
        *network.plan_pair(device, network.management_pair(device, testbed), outside, inside),
    ]


def _plan_data(device: Device, testbed: Testbed, backend: str) -> list[Step]:
    inside = network.look_inside(device.netns)
    if backend == "user":
        return data_link.plan_emulated_link(device, testbed, data_link.attached(testbed), inside)
    return data_link.plan_pair_link(device, testbed, network.look_outside(), inside)


def _plan_record(device: Device, testbed: Testbed, backend: str) -> list[Step]:
    """Plan ``device.json``, which says to others what this device is."""
    record = {
        "name": device.name,
        "netns": device.netns,
        "management_address": str(device.management_address),
        "data_address": str(device.data_address),
        "cpus": device.cpus,
        "cores": sorted(device.cores),
        "memory_mb": device.memory_mb,
        "link_backend": backend,
        "emulator_socket": str(testbed.emulator_socket) if backend == "user" else None,
    }
    path, text = login.folder(device, testbed) / "device.json", json.dumps(record)
    if read(path) == text:
        return []
    return [Write(what=f"record what {device.name} is", path=path, text=text + "\n")]


def _verify(device: Device, testbed: Testbed, backend: str) -> None:
    """Look again at everything; a step that is still missing did not do what it was to do."""
    hierarchies = cgroups.hierarchies_here()
    missing = [
        *login.plan_client_key(testbed),
        *login.plan_host_key(device, testbed),
        *login.plan_files(device, testbed),
        *cgroups.plan(device, testbed, hierarchies),
        *_plan_management(device, testbed),
        *kernel.plan(device, kernel.look(device)),
        *_plan_data(device, testbed, backend),
        *login.plan_process(device, testbed, hierarchies),
    ]
    if missing:
        names = "; ".join(step.what for step in missing)
        message = f"{device.name}: after everything was done this is still to do: {names}"
        raise VirtualDeviceError(message)
