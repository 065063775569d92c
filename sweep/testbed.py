"""What there is to sweep over: devices, chains of them, network conditions.

The inventory gives one (:mod:`sweep.inventory`), or the devices named on the command line
(:mod:`sweep.direct`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sweep.errors import InventoryError, unknown


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One host of the inventory, as far as the driver needs it.

    ``cpus`` and ``cores`` are a virtual device's quota and the cores it may use (empty: any).
    ``accelerator`` is named where the driver itself starts the stage.
    """

    name: str
    kind: str
    data_address: str
    stage_port: int
    home: str
    cpus: float | None
    cores: tuple[int, ...]
    memory_mb: int | None = None
    accelerator: str | None = None

    @property
    def definition(self) -> dict[str, Any]:
        """What makes the device another one under the same name."""
        told = {"kind": self.kind, "cpus": self.cpus, "cores": list(self.cores), "memory_mb": self.memory_mb}
        return told if self.accelerator is None else told | {"accelerator": self.accelerator}

    @property
    def virtual(self) -> bool:
        """Whether the device is made by this project on the control node."""
        return self.kind == "virtual"


class Testbed(msgspec.Struct, frozen=True, kw_only=True):
    """What the inventory offers: devices, chains (ordered device names), conditions as written."""

    path: str
    devices: dict[str, Device]
    chains: dict[str, tuple[str, ...]]
    default_chains: tuple[str, ...] = ()
    networks: dict[str, dict[str, Any]]
    variables: frozenset[str]

    def pick_chains(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Resolve chain names (none: the default ones); refuse one that does not exist."""
        return pick("chain", names or self.default_chains, self.chains)

    def pick_networks(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Resolve network conditions (none: all); refuse one that does not exist."""
        return pick("network condition", names, self.networks)


def pick(what: str, names: tuple[str, ...], known: Mapping[str, Any]) -> tuple[str, ...]:
    """Give `names`, or all that are known where there are none; raises InventoryError for an unknown one."""
    for name in names:
        if name not in known:
            raise InventoryError(unknown(what, name, known))
    return names or tuple(known)
