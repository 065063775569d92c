"""The data interface of a device: a pair for tc to shape, or a TUN device of the emulator."""

from __future__ import annotations

import time
from typing import Any

from .machine import Ask, Launch, Step, ask, is_alive, read_json
from .network import Interfaces, data_pair, kernel_has_netem, plan_bridge, plan_pair
from .processes import EMULATOR_MODULE
from .spec import DATA_INTERFACE, Device, Testbed, VirtualDeviceError

EMULATOR_START_S = 15.0


def choose_backend(testbed: Testbed, recorded: str | None) -> str:
    """Decide between ``tc`` and ``user``: as the devices that are up, as asked, as the kernel can.

    Raises VirtualDeviceError where the devices that are up have another one than was asked for.
    """
    if recorded is not None:
        if testbed.backend not in ("auto", recorded):
            message = (
                f"the devices of {testbed.prefix} are up with the link backend {recorded}, not "
                f"{testbed.backend}; take them down first: ansible-playbook playbooks/virtual_down.yml"
            )
            raise VirtualDeviceError(message)
        return recorded
    if testbed.backend != "auto":
        return testbed.backend
    return "tc" if kernel_has_netem() else "user"


def plan_pair_link(device: Device, testbed: Testbed, outside: Interfaces, inside: Interfaces | None) -> list[Step]:
    """Plan the data interface of the ``tc`` backend."""
    bridge = plan_bridge(testbed.data_bridge, outside)
    return [*bridge, *plan_pair(device, data_pair(device, testbed), outside, inside)]


def attached(testbed: Testbed) -> dict[str, dict[str, Any]] | None:
    """List the emulator's devices by name, or None where no emulator answers."""
    try:
        answer = ask(testbed.emulator_socket, {"command": "show"})
    except (OSError, ValueError, VirtualDeviceError):
        return None
    return {device["name"]: device for device in answer.get("devices", ())}


def plan_emulator(testbed: Testbed, present: dict[str, dict[str, Any]] | None) -> list[Step]:
    """Plan the one emulator of the prefix."""
    if present is not None:
        return []
    run = testbed.run_dir
    argv = (
        *(testbed.python, "-m", EMULATOR_MODULE, "--socket", str(testbed.emulator_socket)),
        *("--pidfile", str(run / "emulator.pid")),
    )
    return [
        Launch(
            what="start the link emulator",
            argv=argv,
            log=run / "emulator.log",
            record=run / "emulator.json",
            folder=testbed.project,
        )
    ]


def detach_request(name: str) -> dict[str, Any]:
    """Ask the emulator to let go of a device and remove its interface."""
    return {"command": "detach", "name": name}


def plan_emulated_link(
    device: Device, testbed: Testbed, present: dict[str, dict[str, Any]] | None, inside: Interfaces | None
) -> list[Step]:
    """Plan the data interface of the ``user`` backend."""
    there = (present or {}).get(device.name)
    address = str(device.data_address)
    if (
        there is not None
        and there.get("address") == address
        and inside is not None
        and inside.has(DATA_INTERFACE, kind="tun")
        and inside.addressed(DATA_INTERFACE, device.data_address, testbed.data)
    ):
        return []
    steps: list[Step] = []
    if there is not None:
        # Its interface is not as it should be; the emulator would take it for attached still.
        what, request = f"detach {device.name} from the emulator", detach_request(device.name)
        steps.append(Ask(what=what, socket=testbed.emulator_socket, request=request))
    request = {
        "command": "attach",
        "device": {
            "name": device.name,
            "netns": device.netns,
            "address": address,
            "prefix": testbed.data.prefixlen,
        },
    }
    what = f"attach {device.name} to the emulator"
    return [*steps, Ask(what=what, socket=testbed.emulator_socket, request=request)]


def wait_for_emulator(testbed: Testbed) -> dict[str, dict[str, Any]]:
    """Wait until the emulator answers; raise with the end of its log where it does not."""
    deadline = time.monotonic() + EMULATOR_START_S
    record = read_json(testbed.run_dir / "emulator.json")
    while (present := attached(testbed)) is None:
        if time.monotonic() > deadline or not is_alive(record):
            log = (testbed.run_dir / "emulator.log").read_text().splitlines()[-3:] or ["nothing"]
            message = f"the link emulator did not start; its log ends with: {' / '.join(log)}"
            raise VirtualDeviceError(message)
        time.sleep(0.02)
    return present
