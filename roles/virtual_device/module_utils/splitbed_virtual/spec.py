"""What is wanted: the testbed that a prefix names, and one device of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from pathlib import Path
from typing import Any

MANAGEMENT_INTERFACE = "mgmt0"
DATA_INTERFACE = "data0"
MARKER = ".virtual_device"
BACKENDS = ("auto", "tc", "user")
# The kernel refuses a CFS quota below one millisecond.
SMALLEST_QUOTA_US = 1000
LONGEST_INTERFACE_NAME = 15


class VirtualDeviceError(Exception):
    """A virtual device cannot be brought up or taken down; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Testbed:
    """All virtual devices of one prefix: their networks, folders and owner.

    ``owner`` is the folder of the inventory that they belong to; two inventories never share a
    prefix.  ``project`` is the folder that holds the ``links`` package, ``python`` what runs it.
    """

    prefix: str
    management: IPv4Network
    data: IPv4Network
    root: Path
    ssh_dir: Path
    owner: str
    project: Path
    python: str
    backend: str
    period_us: int

    @property
    def bridge(self) -> str:
        """Name the bridge of the management network."""
        return f"{self.prefix}0"

    @property
    def data_bridge(self) -> str:
        """Name the bridge of the data network, which only the ``tc`` backend has."""
        return f"{self.prefix}1"

    @property
    def gateway(self) -> IPv4Address:
        """Give this machine's own address on the management network."""
        return self.management.network_address + 1

    @property
    def run_dir(self) -> Path:
        """Name the folder of everything that lives as long as the devices are up."""
        return Path("/run") / self.prefix

    @property
    def emulator_socket(self) -> Path:
        """Name the control socket of the link emulator."""
        return self.run_dir / "emulator.sock"


@dataclass(frozen=True, kw_only=True)
class Device:
    """One virtual device, and the names of what it consists of."""

    prefix: str
    name: str
    management_address: IPv4Address
    data_address: IPv4Address
    cpus: float
    cores: frozenset[int]
    memory_mb: int

    @property
    def netns(self) -> str:
        """Name its network namespace."""
        return f"{self.prefix}-{self.name}"

    def host_interface(self, kind: str) -> str:
        """Name this machine's end of its ``m`` (management) or ``d`` (data) interface pair."""
        return interface_name(self.prefix, self.name, kind)

    def mac(self, kind: str) -> str:
        """Give a fixed hardware address, so that no neighbour remembers a former one."""
        digest = hashlib.sha256(f"{self.netns}/{kind}".encode()).digest()
        return ":".join(["02", *(f"{byte:02x}" for byte in digest[:5])])


def interface_name(prefix: str, name: str, kind: str) -> str:
    """Name an interface readably where 15 characters allow it, else by a hash."""
    readable = f"{prefix}-{kind}-{name}"
    if len(readable) <= LONGEST_INTERFACE_NAME:
        return readable
    digest = hashlib.sha256(f"{prefix}/{name}".encode()).hexdigest()[:5]
    return f"{prefix}-{kind}{digest}"


def parse_cores(text: str) -> frozenset[int]:
    """Read a kernel core list such as ``0``, ``0-3`` or ``0,2-3``."""
    cores: set[int] = set()
    for part in str(text).split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not match:
            message = f"core list {text!r} is not one; write it like 0, 0-3 or 0,2-3"
            raise VirtualDeviceError(message)
        first, last = int(match[1]), int(match[2] or match[1])
        cores.update(range(first, last + 1))
    return frozenset(cores)


def core_list(cores: frozenset[int]) -> str:
    """Write cores as the kernel takes them."""
    return ",".join(str(core) for core in sorted(cores))


def parse_testbed(values: Mapping[str, Any]) -> Testbed:
    """Read the testbed from module arguments; refuse what cannot work, naming it."""
    prefix = str(values["prefix"])
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,7}", prefix):
        message = f"virtual_device_prefix {prefix!r} must be 1 to 8 letters and digits, a letter first"
        raise VirtualDeviceError(message)
    management = _network("virtual_device_management_network", values["management_network"])
    data = _network("virtual_device_data_network", values["data_network"])
    if management.overlaps(data):
        message = f"the management network {management} and the data network {data} overlap; change one"
        raise VirtualDeviceError(message)
    root = Path(values["root"])
    if not root.is_absolute() or root == Path("/"):
        message = f"virtual_device_root {str(root)!r} must be an absolute folder of its own"
        raise VirtualDeviceError(message)
    if values["link_backend"] not in BACKENDS:
        message = f"virtual_device_link_backend {values['link_backend']!r} is none of {', '.join(BACKENDS)}"
        raise VirtualDeviceError(message)
    return Testbed(
        prefix=prefix,
        management=management,
        data=data,
        root=root,
        ssh_dir=Path(values["ssh_dir"]),
        owner=str(values["owner"]),
        project=Path(values["project"]),
        python=str(values["python"]),
        backend=str(values["link_backend"]),
        period_us=int(values["cfs_period_us"]),
    )


def parse_device(values: Mapping[str, Any], testbed: Testbed) -> Device:
    """Read one device of the testbed; refuse what cannot work, naming the device."""
    name = str(values["name"])
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", name):
        message = f"virtual device {name!r}: the name must be one that a host can have"
        raise VirtualDeviceError(message)
    device = Device(
        prefix=testbed.prefix,
        name=name,
        management_address=_member(name, "ansible_host", values["management_address"], testbed.management),
        data_address=_member(name, "data_address", values["data_address"], testbed.data),
        cpus=float(values["cpus"]),
        cores=parse_cores(str(values["cores"])),
        memory_mb=int(values["memory_mb"]),
    )
    if device.management_address == testbed.gateway:
        message = f"{name}: ansible_host {testbed.gateway} is this machine's own address on that network"
        raise VirtualDeviceError(message)
    _check_size(device, testbed)
    return device


def _check_size(device: Device, testbed: Testbed) -> None:
    if not 0 < device.cpus <= len(device.cores):
        message = (
            f"{device.name}: virtual_cpus {device.cpus:g} must be above 0 and at most "
            f"{len(device.cores)}, the number of its virtual_cores ({core_list(device.cores)})"
        )
        raise VirtualDeviceError(message)
    if device.cpus * testbed.period_us < SMALLEST_QUOTA_US:
        message = (
            f"{device.name}: virtual_cpus {device.cpus:g} of a {testbed.period_us} us period is less "
            f"than the {SMALLEST_QUOTA_US} us that the kernel accepts; raise virtual_device_cfs_period_us "
            f"to {round(SMALLEST_QUOTA_US / device.cpus)} or more"
        )
        raise VirtualDeviceError(message)
    if device.memory_mb < 64:  # noqa: PLR2004 - below this not even sshd and Python start
        message = f"{device.name}: virtual_memory_mb {device.memory_mb} is too little; give it 64 or more"
        raise VirtualDeviceError(message)


def _network(variable: str, value: object) -> IPv4Network:
    try:
        return IPv4Network(str(value))
    except (AddressValueError, NetmaskValueError, ValueError) as exc:
        message = f"{variable} {value!r} is no IPv4 network ({exc}); write it like 10.213.0.0/24"
        raise VirtualDeviceError(message) from exc


def _member(name: str, variable: str, value: object, network: IPv4Network) -> IPv4Address:
    try:
        address = IPv4Address(str(value))
    except AddressValueError as exc:
        message = f"{name}: {variable} {value!r} is no IPv4 address; a virtual device needs one in {network}"
        raise VirtualDeviceError(message) from exc
    if address not in network or address in (network.network_address, network.broadcast_address):
        message = f"{name}: {variable} {address} is no host address of the network {network}"
        raise VirtualDeviceError(message)
    return address
