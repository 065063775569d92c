"""Plan tc commands for one device's outgoing links, and read back what the kernel has.  Pure.

The tree on the interface is an htb root whose default class does not limit anything (SSH, and all that goes
elsewhere), and one class per peer that holds the link's own qdisc:

* netem with delay, jitter, loss, rate and a limit from the bandwidth-delay product, or
* tbf where only a rate is asked for and the kernel has no netem.

u32 filters send to a peer's class all that goes to its address, whatever the port, since PyTorch RPC
chooses its own.  SSH's ports, on either side of a connection, are filtered out before.  netem treats
a segment that is yet to be cut as one packet: ``segments`` sees to it that there are none where packets are lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from links.conditions import FRAME_BYTES, LinkSpec, queue_packets
from stage_runtime.errors import LinkError

HANDLE = "5b:"
_DEFAULT_CLASS = "5b:1"
_FIRST_PEER_CLASS = 0x10
_MOST_PEERS = 200
_UNLIMITED = "100gbit"
_UNLIMITED_MBIT = 100_000.0
# Filters of the lower priority number are asked first.
_SSH_FIRST, _TO_PEER = "1", "2"
# tbf lets this much through at once; a larger one would let a whole message pass unshaped
TBF_BURST_BYTES = 4 * FRAME_BYTES
# What the kernel puts on an interface by itself: always with handle 0.
_OWN_HANDLE_OF_DEFAULTS = "0:"

Argv = tuple[str, ...]


class PeerLink(msgspec.Struct, frozen=True, kw_only=True):
    """The link to one peer, by its address."""

    address: str
    spec: LinkSpec


class TcPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What one interface is to do: the links of its shaped peers, for all traffic but SSH's on ``ssh_ports``."""

    interface: str
    peers: tuple[PeerLink, ...]
    ssh_ports: tuple[int, ...]
    netem: bool

    @property
    def loses(self) -> bool:
        """Tell whether any of the links is to lose packets."""
        return any(peer.spec.loss_percent for peer in self.peers)


def plan_links(*, interface: str, peers: Sequence[PeerLink], ssh_ports: Sequence[int], netem: bool) -> TcPlan:
    """Plan the shaped ones among ``peers``.

    Raises LinkError naming netem when a link needs it and ``netem`` says that the kernel lacks it.
    """
    shaped = tuple(peer for peer in peers if peer.spec.shaped)
    if len(shaped) > _MOST_PEERS:
        raise LinkError(f"{interface}: {len(shaped)} peers to shape; at most {_MOST_PEERS} are possible")
    for peer in shaped:
        if not netem and not _rate_only(peer.spec):
            raise LinkError(
                f"the link to {peer.address} asks for {_describe(peer.spec)}, and this kernel has no qdisc "
                "`netem`; load it (modprobe sch_netem; Debian: package linux-modules-extra or another "
                "kernel) or choose a network with a rate only"
            )
    return TcPlan(interface=interface, peers=shaped, ssh_ports=tuple(ssh_ports), netem=netem)


def apply_commands(plan: TcPlan) -> list[Argv]:
    """Give the commands that put a plan on an interface that has none of ours."""
    device = ("dev", plan.interface)
    commands: list[Argv] = [
        ("tc", "qdisc", "replace", *device, "root", "handle", HANDLE, "htb", "default", "1"),
        _class_command(plan.interface, _DEFAULT_CLASS),
        *_ssh_filters(plan),
    ]
    for index, peer in enumerate(plan.peers):
        class_id = _class_id(index)
        commands.append(_class_command(plan.interface, class_id))
        handle = f"{0x500 + _FIRST_PEER_CLASS + index:x}:"
        leaf = _netem(peer.spec) if plan.netem else _tbf(peer.spec)
        commands.append(("tc", "qdisc", "add", *device, "parent", class_id, "handle", handle, *leaf))
        commands.append(_filter(plan, _TO_PEER, ("dst", f"{peer.address}/32"), class_id))
    return commands


def clear_commands(interface: str) -> list[Argv]:
    """Give the commands that put the interface's own default back."""
    return [("tc", "qdisc", "del", "dev", interface, "root")]


def show_command(interface: str) -> Argv:
    """Give the command whose output :func:`in_force` and :func:`root_state` read."""
    return ("tc", "-j", "-s", "qdisc", "show", "dev", interface)


def filter_command(interface: str) -> Argv:
    """Give the command whose output :func:`filtered_classes` reads."""
    return ("tc", "-j", "filter", "show", "dev", interface, "parent", HANDLE)


def root_state(interface: str, qdiscs: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether our tree is on the interface; LinkError when somebody else's is."""
    root = next((qdisc for qdisc in qdiscs if qdisc.get("root")), None)
    if root is None or root["handle"] == _OWN_HANDLE_OF_DEFAULTS:
        return False
    if is_ours(qdiscs):
        return True
    raise LinkError(
        f"{interface} has a qdisc that is not ours: {root['kind']} {root['handle']}; "
        f"remove it (tc qdisc del dev {interface} root) or use another interface"
    )


def is_ours(qdiscs: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the root qdisc is our htb."""
    return any(qdisc.get("root") and qdisc["handle"] == HANDLE for qdisc in qdiscs)


def agrees(plan: TcPlan, qdiscs: Sequence[Mapping[str, Any]], filters: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the kernel has the plan, all of it and nothing more."""
    leaves = [qdisc for qdisc in qdiscs if str(qdisc.get("parent", "")).startswith(HANDLE)]
    return len(leaves) == len(plan.peers) and not differences(plan, qdiscs, filters)


def in_force(plan: TcPlan, qdiscs: Sequence[Mapping[str, Any]]) -> dict[str, LinkSpec]:
    """Read what ``tc -j qdisc show`` says is in force for each of the plan's peers.

    A peer whose class has no netem or tbf is unshaped.
    """
    leaves = {qdisc.get("parent"): qdisc for qdisc in qdiscs}
    found = {}
    for index, peer in enumerate(plan.peers):
        leaf = leaves.get(_class_id(index))
        found[peer.address] = LinkSpec() if leaf is None else _parse_leaf(leaf)
    return found


def filtered_classes(filters: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Count the filters that lead to each class, from ``tc -j filter show``."""
    counts: dict[str, int] = {}
    for entry in filters:
        class_id = entry.get("options", {}).get("flowid")
        if class_id is not None:
            counts[class_id] = counts.get(class_id, 0) + 1
    return counts


def differences(plan: TcPlan, qdiscs: Sequence[Mapping[str, Any]], filters: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name what the kernel has that the plan did not ask for; empty when they agree."""
    found = in_force(plan, qdiscs)
    problems = [
        f"{peer.address}: asked {_describe(peer.spec)}, in force {_describe(found[peer.address])}"
        for peer in plan.peers
        if not close(peer.spec, found[peer.address])
    ]
    counts = filtered_classes(filters)
    wanted = {_DEFAULT_CLASS: ("SSH", len(_ssh_filters(plan)))}
    wanted |= {_class_id(index): (peer.address, 1) for index, peer in enumerate(plan.peers)}
    problems += [
        f"{what}: {counts.get(class_id, 0)} filters of {count} lead to its class"
        for class_id, (what, count) in wanted.items()
        if counts.get(class_id, 0) != count
    ]
    return problems


def close(asked: LinkSpec, found: LinkSpec) -> bool:
    """Tell whether two specifications agree but for the rounding of tc's output."""
    if (asked.rate_mbit is None) != (found.rate_mbit is None):
        return False
    pairs = (
        (asked.rate_mbit or 0.0, found.rate_mbit or 0.0),
        (asked.delay_ms, found.delay_ms),
        (asked.jitter_ms, found.jitter_ms),
        (asked.loss_percent, found.loss_percent),
    )
    return all(abs(one - other) <= 1e-3 * max(abs(one), abs(other), 0.01) for one, other in pairs)


def _class_id(index: int) -> str:
    return f"{HANDLE}{_FIRST_PEER_CLASS + index:x}"


def _class_command(interface: str, class_id: str) -> Argv:
    # htb has no class without a rate; the quantum only spares the kernel a warning
    limits = ("htb", "rate", _UNLIMITED, "quantum", "60000")
    return ("tc", "class", "add", "dev", interface, "parent", HANDLE, "classid", class_id, *limits)


def _ssh_filters(plan: TcPlan) -> list[Argv]:
    return [
        _filter(plan, _SSH_FIRST, (side, str(port), "0xffff"), _DEFAULT_CLASS)
        for port in plan.ssh_ports
        for side in ("sport", "dport")
    ]


def _filter(plan: TcPlan, priority: str, match: Argv, class_id: str) -> Argv:
    head = ("tc", "filter", "add", "dev", plan.interface, "parent", HANDLE, "protocol", "ip", "prio", priority)
    return (*head, "u32", "match", "ip", *match, "flowid", class_id)


def _netem(spec: LinkSpec) -> Argv:
    words = ["netem", "limit", str(queue_packets(spec))]
    if spec.delay_ms:
        words += ["delay", f"{spec.delay_ms:g}ms"]
    if spec.jitter_ms:
        words.append(f"{spec.jitter_ms:g}ms")
    if spec.loss_percent:
        words += ["loss", f"{spec.loss_percent:g}%"]
    if spec.rate_mbit is not None:
        words += ["rate", _rate(spec.rate_mbit)]
    elif spec.jitter_ms:
        # without a rate netem lets packets overtake each other as soon as there is jitter
        words += ["rate", _UNLIMITED]
    return tuple(words)


def _tbf(spec: LinkSpec) -> Argv:
    assert spec.rate_mbit is not None
    limit = queue_packets(spec) * FRAME_BYTES
    return ("tbf", "rate", _rate(spec.rate_mbit), "burst", str(TBF_BURST_BYTES), "limit", str(limit))


def _rate(rate_mbit: float) -> str:
    return f"{round(rate_mbit * 1e6)}bit"


def _rate_only(spec: LinkSpec) -> bool:
    return spec == LinkSpec(rate_mbit=spec.rate_mbit)


def _parse_leaf(leaf: Mapping[str, Any]) -> LinkSpec:
    """Read one qdisc: tc prints rates in bytes per second, netem's times in seconds."""
    options = leaf.get("options", {})
    if leaf["kind"] == "tbf":
        return LinkSpec(rate_mbit=options["rate"] * 8 / 1e6)
    if leaf["kind"] != "netem":
        return LinkSpec()
    delay = options.get("delay", {})
    rate = options.get("rate", {}).get("rate")
    rate_mbit = None if rate is None else rate * 8 / 1e6
    return LinkSpec(
        rate_mbit=None if rate_mbit is None or rate_mbit >= _UNLIMITED_MBIT else rate_mbit,
        delay_ms=delay.get("delay", 0.0) * 1000,
        jitter_ms=delay.get("jitter", 0.0) * 1000,
        loss_percent=options.get("loss-random", {}).get("loss", 0.0) * 100,
    )


def _describe(spec: LinkSpec) -> str:
    units = {"rate_mbit": "Mbit/s", "delay_ms": "ms delay", "jitter_ms": "ms jitter", "loss_percent": "% loss"}
    parts = [f"{value:g} {units[key]}" for key, value in spec.as_dict().items() if value]
    return ", ".join(parts) or "nothing"
