"""A device's network namespace and its interfaces.

``mgmt0`` is one end of a pair whose other end is a port of the management bridge; nothing ever
shapes it.  ``data0`` carries the stages' traffic: with the ``tc`` backend it is such a pair on a
bridge of its own, with the ``user`` backend it is a TUN device that the link emulator holds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from .machine import Run, Step, command
from .spec import DATA_INTERFACE, MANAGEMENT_INTERFACE, Device, Testbed, VirtualDeviceError

NETNS_FOLDER = Path("/run/netns")
# Probed in a namespace that ends with the command, so that nothing is left behind.
NEEDED_QDISCS = (("htb",), ("netem", "delay", "1ms"))
ROUTE_FIELDS = ("dst", "dev")


@dataclass(frozen=True, kw_only=True)
class Interfaces:
    """The interfaces of one namespace, as ``ip -j -d address show`` tells them; by name."""

    by_name: dict[str, dict[str, Any]]

    def has(self, name: str, *, kind: str | None = None, master: str | None = None) -> bool:
        """Tell whether an interface is there, up, of a kind and under a bridge."""
        link = self.by_name.get(name)
        if link is None or "UP" not in link.get("flags", ()):
            return False
        if kind is not None and link.get("linkinfo", {}).get("info_kind") != kind:
            return False
        return master is None or link.get("master") == master

    def addressed(self, name: str, address: IPv4Address, network: IPv4Network) -> bool:
        """Tell whether an interface has this IPv4 address and no other."""
        present = [
            (entry.get("local"), entry.get("prefixlen"))
            for entry in self.by_name.get(name, {}).get("addr_info", ())
            if entry.get("family") == "inet"
        ]
        return present == [(str(address), network.prefixlen)]


def parse_interfaces(text: str) -> Interfaces:
    """Read the JSON of ``ip``; kernels without interfaces of a kind print empty objects."""
    return Interfaces(by_name={link["ifname"]: link for link in json.loads(text or "[]") if "ifname" in link})


def look_outside() -> Interfaces:
    """List this machine's interfaces."""
    return parse_interfaces(command(("ip", "-j", "-d", "address", "show")))


def look_inside(netns: str) -> Interfaces | None:
    """List a namespace's interfaces, or None where there is no such namespace."""
    if netns not in namespaces():
        return None
    return parse_interfaces(command(("ip", "-n", netns, "-j", "-d", "address", "show")))


def namespaces() -> set[str]:
    """Name the network namespaces of this machine that work.

    A crash between making the file and mounting the namespace on it leaves a plain file.
    """
    if not NETNS_FOLDER.is_dir():
        return set()
    here = NETNS_FOLDER.stat().st_dev
    return {entry.name for entry in NETNS_FOLDER.iterdir() if entry.stat().st_dev != here}


def plan_namespace(device: Device, inside: Interfaces | None) -> list[Step]:
    """Plan the namespace with its loopback."""
    netns, steps = device.netns, list[Step]()
    if inside is None:
        if (NETNS_FOLDER / netns).exists():
            steps.append(Run(what=f"remove the broken namespace {netns}", argv=("ip", "netns", "delete", netns)))
        steps.append(Run(what=f"make the namespace {netns}", argv=("ip", "netns", "add", netns)))
    if inside is None or not inside.has("lo"):
        steps += _batch(f"bring up the loopback of {device.name}", ["link set lo up"], netns)
    return steps


def plan_bridge(name: str, outside: Interfaces, address: str | None = None) -> list[Step]:
    """Plan a bridge; ``address`` with its prefix length is this machine's own on it."""
    lines: list[str] = []
    if name not in outside.by_name:
        lines += [f"link add {name} type bridge", f"link set {name} addrgenmode none"]
    present = [
        f"{entry['local']}/{entry['prefixlen']}"
        for entry in outside.by_name.get(name, {}).get("addr_info", ())
        if entry.get("family") == "inet"
    ]
    if address is not None and present != [address]:
        lines += [f"address flush dev {name}", f"address add {address} dev {name}"]
    if "UP" not in outside.by_name.get(name, {}).get("flags", ()):
        lines.append(f"link set {name} up")
    return _batch(f"set up the bridge {name}", lines)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An interface pair: ``inner`` in the device's namespace, ``outer`` a port of ``bridge``."""

    inner: str
    outer: str
    bridge: str
    mac: str
    address: IPv4Address
    network: IPv4Network


def management_pair(device: Device, testbed: Testbed) -> Pair:
    """Describe the pair that SSH goes over."""
    return Pair(
        inner=MANAGEMENT_INTERFACE,
        outer=device.host_interface("m"),
        bridge=testbed.bridge,
        mac=device.mac("m"),
        address=device.management_address,
        network=testbed.management,
    )


def data_pair(device: Device, testbed: Testbed) -> Pair:
    """Describe the pair of the data interface under the ``tc`` backend."""
    return Pair(
        inner=DATA_INTERFACE,
        outer=device.host_interface("d"),
        bridge=testbed.data_bridge,
        mac=device.mac("d"),
        address=device.data_address,
        network=testbed.data,
    )


def plan_pair(device: Device, pair: Pair, outside: Interfaces, inside: Interfaces | None) -> list[Step]:
    """Plan an interface pair: both ends, their addresses and the bridge port."""
    netns, inner = device.netns, inside or Interfaces(by_name={})
    outer_lines: list[str] = []
    inner_lines: list[str] = []
    is_whole = pair.outer in outside.by_name and pair.inner in inner.by_name
    if not is_whole:
        if pair.outer in outside.by_name:
            outer_lines.append(f"link delete {pair.outer}")
        elif pair.inner in inner.by_name:
            inner_lines.append(f"link delete {pair.inner}")
        # The peer is born inside the namespace, so a crash here leaves nothing outside it.
        outer_lines.append(f"link add {pair.outer} type veth peer name {pair.inner} address {pair.mac} netns {netns}")
    if not is_whole or not outside.has(pair.outer, master=pair.bridge):
        outer_lines.append(f"link set {pair.outer} addrgenmode none")
        outer_lines.append(f"link set {pair.outer} master {pair.bridge} up")
    if not is_whole or not inner.addressed(pair.inner, pair.address, pair.network):
        after = [
            f"address flush dev {pair.inner}",
            f"address add {pair.address}/{pair.network.prefixlen} dev {pair.inner}",
        ]
    else:
        after = []
    if not is_whole or not inner.has(pair.inner):
        after += [f"link set {pair.inner} addrgenmode none", f"link set {pair.inner} up"]
    return [
        *_batch(f"remove half of {pair.inner} of {device.name}", inner_lines, netns),
        *_batch(f"plug {pair.inner} of {device.name} into {pair.bridge}", outer_lines),
        *_batch(f"address {pair.inner} of {device.name}", after, netns),
    ]


def _batch(what: str, lines: list[str], netns: str | None = None) -> list[Step]:
    if not lines:
        return []
    argv = ("ip", *(("-n", netns) if netns else ()), "-batch", "-")
    return [Run(what=what, argv=argv, stdin="\n".join(lines) + "\n")]


def conflicting_route(testbed: Testbed, routes: list[dict[str, Any]]) -> str | None:
    """Find a route of this machine that overlaps the management network, other than our own."""
    for route in routes:
        destination, interface = (str(route.get(field, "")) for field in ROUTE_FIELDS)
        if interface == testbed.bridge or destination in ("default", "0.0.0.0/0"):
            continue
        try:
            network = IPv4Network(destination)
        except ValueError:
            continue
        if network.overlaps(testbed.management):
            return f"{destination} dev {interface}"
    return None


def routes_here() -> list[dict[str, Any]]:
    """List this machine's IPv4 routes, whatever table they are in."""
    routes: list[dict[str, Any]] = json.loads(command(("ip", "-j", "-4", "route", "show", "table", "all")) or "[]")
    return routes


def kernel_has_netem() -> bool:
    """Try the queueing disciplines that shaping with tc needs, where it can disturb nothing."""
    for qdisc in NEEDED_QDISCS:
        try:
            command(("unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", *qdisc))
        except VirtualDeviceError:
            return False
    return True
