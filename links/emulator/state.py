"""What the emulator's control commands do: devices, shaping, owners and their leases."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from pathlib import Path
from random import SystemRandom
from typing import Any

import msgspec

from links.conditions import LinkSpec, parse_spec
from links.emulator import tun
from links.emulator.engine import Direction, Engine, Port
from links.lease import Watch, remaining_s
from stage_runtime.errors import LinkError

_LOG = logging.getLogger(__name__)


class Device(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A virtual device to carry packets for: ``netns`` is a name of ``ip netns`` or a path."""

    name: str
    netns: str
    address: str
    prefix: int
    interface: str = "data0"


class LinkOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One direction to shape, between two addresses."""

    source: str
    target: str
    spec: dict[str, float | None]


class ShapeOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Directions to put in force for ``owner``; ``sources`` lose what they had before."""

    owner: str
    ttl_s: float
    lease_files: tuple[str, ...]
    sources: tuple[str, ...]
    links: tuple[LinkOrder, ...]


class Tenancy:
    """One owner's lease: the newest touch of any of its files, or the last grant, counts."""

    def __init__(self, ttl_s: float) -> None:
        """Grant a lease now."""
        self.ttl_s = ttl_s
        self.granted = time.time()
        self.files: set[Path] = set()
        self._watch = Watch()

    def remaining_s(self) -> float:
        """Give the seconds that are left."""
        return remaining_s(self.ttl_s, self.granted, self.files)

    def ran_out(self) -> bool:
        """Tell whether the owner gave no sign of life for as long."""
        return self._watch.ran_out(self.ttl_s, self.granted, self.files)


class State:
    """The devices attached and the directions in force, over an :class:`Engine`."""

    def __init__(self, engine: Engine) -> None:
        """Begin with nothing attached and nothing shaped."""
        self._engine = engine
        self._devices: dict[str, tuple[Device, tuple[int, int]]] = {}
        self._directions: dict[tuple[str, str], tuple[str, Direction]] = {}
        self._tenancies: dict[str, Tenancy] = {}
        self._random = SystemRandom()

    def attach(self, device: Device) -> bool:
        """Attach a device; False when it is attached just so already."""
        identity = _identity(device.netns)
        present = self._devices.get(device.name)
        if present == (device, identity) and device.name in self._engine.ports:
            return False
        other = self._engine.port_at(device.address)
        if other is not None and other.name != device.name:
            raise LinkError(f"address {device.address} of {device.name} is that of {other.name} already")
        if present is not None:
            self.detach(device.name)
        descriptor = tun.open_tun(
            netns=device.netns, interface=device.interface, address=device.address, prefix=device.prefix
        )
        self._engine.add(Port(device.name, device.address, descriptor))
        self._devices[device.name] = (device, identity)
        return True

    def detach(self, name: str) -> bool:
        """Detach a device and remove its interface; False when it was not attached."""
        present = self._devices.pop(name, None)
        port = self._engine.ports.get(name)
        if present is None:
            return False
        self._remove(key for key in self._directions if present[0].address in key)
        if port is not None:
            self._engine.remove(port)
            tun.remove_tun(port.descriptor)
        return True

    def shape(self, order: ShapeOrder) -> bool:
        """Put the order in force; False when it already was.

        Raises LinkError when a source is no device, or another owner's live lease is on it.
        """
        self.expire()
        wanted = {(link.source, link.target): _spec(link) for link in order.links}
        self._check(order, wanted)
        before = {key: entry for key, entry in self._directions.items() if key[0] in order.sources}
        changed = {key: (owner, direction.spec) for key, (owner, direction) in before.items()} != {
            key: (order.owner, spec) for key, spec in wanted.items()
        }
        tenancy = self._tenancies.setdefault(order.owner, Tenancy(order.ttl_s))
        tenancy.ttl_s, tenancy.granted = order.ttl_s, time.time()
        tenancy.files |= {Path(file) for file in order.lease_files}
        if changed:
            self._remove(before)
            for (source, target), spec in wanted.items():
                seed = self._random.getrandbits(64)
                direction = Direction(source=source, target=target, spec=spec, seed=seed)
                self._engine.shape(direction)
                self._directions[source, target] = (order.owner, direction)
        self._forget_idle_owners()
        return changed

    def clear(self, owner: str | None, sources: Iterable[str] | None) -> bool:
        """Remove the shaping of an owner (None: of anyone) on some sources (None: on all)."""
        chosen = None if sources is None else set(sources)
        keys = [
            key
            for key, (holder, _) in self._directions.items()
            if owner in (None, holder) and (chosen is None or key[0] in chosen)
        ]
        self._remove(keys)
        self._forget_idle_owners()
        return bool(keys)

    def expire(self) -> None:
        """Clear the shaping of owners that gave no sign of life, and devices that are gone."""
        for owner, tenancy in list(self._tenancies.items()):
            if tenancy.ran_out():
                _LOG.warning("the lease of %s ran out; its links are cleared", owner)
                self.clear(owner, None)
        for name, (device, identity) in list(self._devices.items()):
            if _identity_or_none(device.netns) != identity:
                _LOG.warning("namespace %s of %s is gone; the device is detached", device.netns, name)
                self.detach(name)

    def show(self) -> dict[str, Any]:
        """Describe the devices and the directions in force."""
        return {
            "devices": [msgspec.to_builtins(device) for device, _ in self._devices.values()],
            "unrouted_packets": self._engine.unrouted,
            "links": [self._describe(owner, direction) for owner, direction in self._directions.values()],
        }

    def _describe(self, owner: str, direction: Direction) -> dict[str, Any]:
        return {
            "source": direction.source,
            "target": direction.target,
            "spec": direction.spec.as_dict(),
            "owner": owner,
            "remaining_s": round(self._tenancies[owner].remaining_s(), 1),
            "limit_packets": direction.schedule.limit_packets,
            "packets": direction.packets,
            "bytes": direction.bytes,
            "queued_packets": direction.queued,
            "lost_packets": direction.lost,
            "overflowed_packets": direction.overflowed,
        }

    def _check(self, order: ShapeOrder, wanted: dict[tuple[str, str], LinkSpec]) -> None:
        known = sorted(device.address for device, _ in self._devices.values())
        for address in {address for key in wanted for address in key} | set(order.sources):
            if self._engine.port_at(address) is None:
                raise LinkError(f"no device with address {address} is attached; attached: {known}")
        if any(source not in order.sources for source, _ in wanted):
            raise LinkError(f"a link starts outside the order's sources {list(order.sources)}; name it there")
        for (source, _), (owner, _) in self._directions.items():
            if source in order.sources and owner != order.owner:
                left = self._tenancies[owner].remaining_s()
                raise LinkError(
                    f"the link of {source} is shaped by {owner!r} for {left:.0f} s more; "
                    f"wait, or clear it (python -m links clear --any)"
                )

    def _remove(self, keys: Iterable[tuple[str, str]]) -> None:
        for key in list(keys):
            _, direction = self._directions.pop(key)
            self._engine.unshape(direction)

    def _forget_idle_owners(self) -> None:
        holders = {owner for owner, _ in self._directions.values()}
        for owner in set(self._tenancies) - holders:
            del self._tenancies[owner]


def _spec(link: LinkOrder) -> LinkSpec:
    return parse_spec(link.spec, f"link {link.source} → {link.target}")


def _identity(netns: str) -> tuple[int, int]:
    identity = _identity_or_none(netns)
    if identity is None:
        path = tun.netns_path(netns)
        raise LinkError(f"network namespace {netns!r} does not exist ({path}); make it first")
    return identity


def _identity_or_none(netns: str) -> tuple[int, int] | None:
    try:
        status = tun.netns_path(netns).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
