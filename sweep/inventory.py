"""Read the inventory: devices, chains and network conditions, checked.

Ansible's own loader and templating do the reading, so that group and host variables mean here
what they mean in a play.
"""

from __future__ import annotations

import math
import re
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
from sweep.testbed import Device, Testbed, pick

_KINDS = ("virtual", "pi", "gpu")
_NAME = re.compile(r"\w[\w.-]*")
_PORTS = 2**16
_CORES = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)


def parse_cores(text: str) -> tuple[int, ...]:
    """Parse ``0``, ``0-3`` or ``0,2-3`` into core numbers, each once and in order; empty means any."""
    cores: set[int] = set()
    for part in text.replace(" ", "").split(",") if text.strip() else ():
        match = _CORES.fullmatch(part)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if high < low:
            raise InventoryError(f"virtual_cores `{text}` is not a list of cores such as 0 or 0,2-3")
        cores.update(range(low, high + 1))
    return tuple(sorted(cores))


def _parse_cpus(value: object) -> float:
    cpus = float(str(value))
    if not 0 < cpus < math.inf:
        raise InventoryError(f"virtual_cpus is {value!r}; it must be a number above 0, such as 0.5")
    return cpus


def _parse_port(value: Any) -> int:
    port = int(value)
    if not 0 < port < _PORTS:
        raise InventoryError(f"stage_port is {value!r}; it must be a port from 1 to {_PORTS - 1}")
    return port


def _device(name: str, variables: Mapping[str, Any]) -> Device:
    kind = str(variables.get("device_kind", "pi"))
    if kind not in _KINDS:
        raise InventoryError(f"host `{name}`: device_kind: {unknown('kind', kind, _KINDS)}")
    try:
        return Device(
            name=name,
            kind=kind,
            data_address=str(variables["data_address"]),
            stage_port=_parse_port(variables["stage_port"]),
            home=str(variables["device_home"]),
            cpus=_parse_cpus(variables["virtual_cpus"]) if kind == "virtual" else None,
            cores=parse_cores(str(variables.get("virtual_cores", ""))) if kind == "virtual" else (),
            memory_mb=int(variables["virtual_memory_mb"]) if "virtual_memory_mb" in variables else None,
        )
    except KeyError as exc:
        raise InventoryError(f"host `{name}`: variable {exc} is missing; see inventory/hosts.yml") from exc
    except (TypeError, ValueError, OverflowError, InventoryError) as exc:
        raise InventoryError(f"host `{name}`: {exc}; see inventory/hosts.yml") from exc


def _chains(raw: object, hosts: Mapping[str, Any], groups: frozenset[str]) -> dict[str, tuple[str, ...]]:
    if not isinstance(raw, dict) or not raw:
        raise InventoryError("the inventory defines no `chains`; see inventory/group_vars/all/chains.yml")
    chains: dict[str, tuple[str, ...]] = {}
    for name, listed in raw.items():
        _check_name("chain", name)
        if not isinstance(listed, list) or not listed:
            raise InventoryError(f"chain `{name}` is {listed!r}; it must be a list of devices")
        members = tuple(str(member) for member in listed)
        for member in members:
            if member not in hosts:
                hint = " (a group, not a device)" if member in groups else ""
                raise InventoryError(f"chain `{name}`: {unknown('device', member, hosts)}{hint}")
        if len(set(members)) != len(members):
            raise InventoryError(f"chain `{name}` names a device twice: {', '.join(members)}")
        chains[name] = members
    return chains


def _check_name(what: str, name: str) -> None:
    """Refuse names that could not be typed in a list of options, nor name a file."""
    if not _NAME.fullmatch(name):
        raise InventoryError(f"{what} `{name}`: a name is made of letters, digits, `_`, `-` and `.`; rename it")


def _default_chains(raw: object, chains: Mapping[str, Any]) -> tuple[str, ...]:
    """Read which chains a sweep takes that names none; without the variable, all of them."""
    if raw is None:
        return ()
    if not isinstance(raw, list):
        raise InventoryError(f"default_chains is {raw!r}; it must be a list of chains")
    return pick("chain in default_chains", tuple(map(str, raw)), chains)


def _networks(raw: object) -> dict[str, dict[str, Any]]:
    if not isinstance(raw, dict) or not raw:
        raise InventoryError("the inventory defines no `networks`; see inventory/group_vars/all/networks.yml")
    networks = {}
    for name, mapping in raw.items():
        _check_name("network condition", name)
        try:
            parse_condition(name, mapping)
        except LinkError as exc:
            raise InventoryError(str(exc)) from exc
        networks[name] = mapping
    return networks


_WANTED = (
    "device_kind",
    "data_address",
    "stage_port",
    "device_home",
    "virtual_cpus",
    "virtual_cores",
    "virtual_memory_mb",
    "chains",
    "default_chains",
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
    chains = _chains(shared.get("chains"), hosts, groups)
    devices = {name: _device(name, host) for name, host in hosts.items()}
    return Testbed(
        path=str(path.resolve()),
        devices=devices,
        chains=chains,
        default_chains=_default_chains(shared.get("default_chains"), chains),
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
