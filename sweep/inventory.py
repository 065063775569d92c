"""Read the inventory: devices, chains and network conditions, checked.

Ansible's own loader and templating do the reading, so that group and host variables mean here
what they mean in a play.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from ansible.utils.collection_loader import AnsibleCollectionConfig
from ansible.vars.manager import VariableManager

from links.conditions import parse_condition
from stage_runtime.errors import LinkError
from sweep.errors import InventoryError, unknown

_KINDS = ("virtual", "pi", "gpu")


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One host of the inventory, as far as the driver needs it.

    ``cpus`` and ``cores`` are a virtual device's quota and the cores it may use (empty: any).
    """

    name: str
    kind: str
    data_address: str
    stage_port: int
    home: str
    cpus: float | None
    cores: tuple[int, ...]

    @property
    def virtual(self) -> bool:
        """Whether the device is made by this project on the control node."""
        return self.kind == "virtual"


class Testbed(msgspec.Struct, frozen=True, kw_only=True):
    """What the inventory offers: devices, chains (ordered device names), conditions as written."""

    path: str
    devices: dict[str, Device]
    chains: dict[str, tuple[str, ...]]
    networks: dict[str, dict[str, Any]]
    variables: frozenset[str]

    def pick_chains(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Resolve chain names (none: all); refuse one that does not exist."""
        return _pick("chain", names, self.chains)

    def pick_networks(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Resolve network conditions (none: all); refuse one that does not exist."""
        return _pick("network condition", names, self.networks)


def _pick(what: str, names: tuple[str, ...], known: Mapping[str, Any]) -> tuple[str, ...]:
    for name in names:
        if name not in known:
            raise InventoryError(unknown(what, name, known))
    return names or tuple(known)


def parse_cores(text: str) -> tuple[int, ...]:
    """Parse ``0``, ``0-3`` or ``0,2-3`` into core numbers."""
    cores: list[int] = []
    for part in filter(None, text.replace(" ", "").split(",")):
        low, _, high = part.partition("-")
        if not low.isdigit() or (high and not high.isdigit()):
            raise InventoryError(f"virtual_cores `{text}` is not a list of cores such as 0 or 0,2-3")
        cores.extend(range(int(low), int(high or low) + 1))
    return tuple(cores)


def _device(name: str, variables: Mapping[str, Any]) -> Device:
    kind = str(variables.get("device_kind", "pi"))
    if kind not in _KINDS:
        raise InventoryError(f"host `{name}`: device_kind: {unknown('kind', kind, _KINDS)}")
    try:
        return Device(
            name=name,
            kind=kind,
            data_address=str(variables["data_address"]),
            stage_port=int(variables["stage_port"]),
            home=str(variables["device_home"]),
            cpus=float(variables["virtual_cpus"]) if kind == "virtual" else None,
            cores=parse_cores(str(variables.get("virtual_cores", ""))) if kind == "virtual" else (),
        )
    except KeyError as exc:
        raise InventoryError(f"host `{name}`: variable {exc} is missing; see inventory/hosts.yml") from exc
    except ValueError as exc:
        raise InventoryError(f"host `{name}`: {exc}; see inventory/hosts.yml") from exc


def _chains(raw: object, hosts: Mapping[str, Any], groups: frozenset[str]) -> dict[str, tuple[str, ...]]:
    if not isinstance(raw, dict) or not raw:
        raise InventoryError("the inventory defines no `chains`; see inventory/group_vars/all/chains.yml")
    chains: dict[str, tuple[str, ...]] = {}
    for name, members in raw.items():
        if not isinstance(members, list) or not members:
            raise InventoryError(f"chain `{name}` is {members!r}; it must be a list of devices")
        for member in members:
            if member not in hosts:
                hint = " (a group, not a device)" if member in groups else ""
                raise InventoryError(f"chain `{name}`: {unknown('device', str(member), hosts)}{hint}")
        if len(set(members)) != len(members):
            raise InventoryError(f"chain `{name}` names a device twice: {', '.join(members)}")
        chains[str(name)] = tuple(str(member) for member in members)
    return chains


def _networks(raw: object) -> dict[str, dict[str, Any]]:
    if not isinstance(raw, dict) or not raw:
        raise InventoryError("the inventory defines no `networks`; see inventory/group_vars/all/networks.yml")
    networks = {}
    for name, mapping in raw.items():
        try:
            parse_condition(str(name), mapping)
        except LinkError as exc:
            raise InventoryError(str(exc)) from exc
        networks[str(name)] = mapping
    return networks


_WANTED = (
    "device_kind",
    "data_address",
    "stage_port",
    "device_home",
    "virtual_cpus",
    "virtual_cores",
    "chains",
    "networks",
)


def load_testbed(path: Path, overrides: Mapping[str, Any] | None = None) -> Testbed:
    """Load and check the inventory at `path`; `overrides` are variables that win over it.

    Raises InventoryError where it does not parse, names no host, or a chain names a device
    that is not there.
    """
    if not path.exists():
        raise InventoryError(f"no inventory at `{path}`; remedy: run inside the checkout, or give inventory=PATH")
    if AnsibleCollectionConfig.collection_finder is None:
        init_plugin_loader()
    loader = DataLoader()
    try:
        manager = InventoryManager(loader=loader, sources=[str(path)])
        variables = VariableManager(loader=loader, inventory=manager)
        # Inside ansible-playbook the manager would let the sweep's own options (`chains`, `networks`)
        # hide the inventory's variables of the same names; there is no public way to ask it not to.
        variables._extra_vars = {}  # noqa: SLF001 - see above
        hosts: dict[str, dict[str, Any]] = {}
        names: set[str] = set()
        for host in manager.get_hosts():
            raw = variables.get_vars(host=host)
            names.update(raw)
            raw |= overrides or {}
            templar = Templar(loader=loader, variables=raw)
            hosts[host.name] = {key: to_plain(templar.template(raw[key])) for key in _WANTED if key in raw}
    except AnsibleError as exc:
        raise InventoryError(f"inventory `{path}`: {exc}") from exc
    if not hosts:
        raise InventoryError(f"inventory `{path}` names no host; see the example at its top")
    shared = next(iter(hosts.values()))
    groups = frozenset(manager.groups) - {"all", "ungrouped"}
    return Testbed(
        path=str(path.resolve()),
        devices={name: _device(name, host) for name, host in hosts.items()},
        chains=_chains(shared.get("chains"), hosts, groups),
        networks=_networks(shared.get("networks")),
        variables=frozenset(names),
    )


def to_plain(value: Any) -> Any:
    """Strip Ansible's tagged subclasses down to plain JSON types."""
    return msgspec.json.decode(msgspec.json.encode(_untag(value)))


def _untag(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _untag(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_untag(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    for plain in (int, float, str):
        if isinstance(value, plain):
            return plain(value)
    return str(value)
