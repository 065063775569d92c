"""What must hold before anything is touched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .machine import read
from .network import conflicting_route, routes_here
from .spec import Device, Testbed, VirtualDeviceError, core_list, parse_cores

# Program and the Debian package that holds it.
PROGRAMS = {
    "ip": "iproute2",
    "unshare": "util-linux",
    "sysctl": "procps",
    "hostname": "hostname",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
}


def check(device: Device, testbed: Testbed) -> None:
    """Raise VirtualDeviceError naming the first thing that would keep the device from coming up."""
    check_machine(testbed)
    check_cores(device, read(Path("/sys/devices/system/cpu/online")) or "0")
    route = conflicting_route(testbed, routes_here())
    if route is not None:
        message = (
            f"the management network {testbed.management} is already routed on this machine ({route}); set "
            "virtual_device_management_network and the devices' ansible_host to another one"
        )
        raise VirtualDeviceError(message)


def check_machine(testbed: Testbed) -> None:
    """Raise VirtualDeviceError where this machine lacks a right or a program."""
    if os.geteuid() != 0:
        message = f"virtual devices need root on this machine, not user {os.geteuid()}; check virtual_device_become"
        raise VirtualDeviceError(message)
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        packages = " ".join(dict.fromkeys(PROGRAMS[program] for program in missing))
        message = f"{' and '.join(missing)} not installed on this machine; try: apt-get install {packages}"
        raise VirtualDeviceError(message)
    if not (testbed.project / "links").is_dir():
        message = f"{testbed.project} holds no links package, which the link emulator is part of"
        raise VirtualDeviceError(message)


def check_cores(device: Device, online: str) -> None:
    """Raise VirtualDeviceError where a device is to run on cores that this machine does not have."""
    absent = device.cores - parse_cores(online)
    if absent:
        message = (
            f"{device.name}: virtual_cores {core_list(device.cores)} names {core_list(frozenset(absent))}, "
            f"but this machine has the cores {online}"
        )
        raise VirtualDeviceError(message)


def check_tun() -> None:
    """Raise VirtualDeviceError where the emulator cannot make its interfaces."""
    if not Path("/dev/net/tun").is_char_device():
        message = (
            "/dev/net/tun is missing, which the link emulator needs; try: modprobe tun "
            "(in a container: pass the device through)"
        )
        raise VirtualDeviceError(message)
