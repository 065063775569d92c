"""Which RPC world the stages of each device are in, and when they are to be in another.

A process joins one world in its life, so another world is another stage process: it is kept from network to network
of a chain, and given up once anything failed, since who died cannot come back into it.
"""

from __future__ import annotations

import itertools
import secrets
import threading
from collections.abc import Sequence

from stage_runtime.formats.cell import Cell


def needs_world(cells: Sequence[Cell]) -> bool:
    """Say whether a cell has stages that are to speak over RPC."""
    return any(cell.transport == "rpc" and len(cell.stages) > 1 for cell in cells)


class Worlds:
    """The worlds of one invocation, by their ids; chains that share no device may ask at the same time."""

    def __init__(self) -> None:
        self._nonce = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._of: dict[str, str] = {}
        self._spoilt: set[str] = set()

    def world_for(self, chain: str, devices: Sequence[str], *, needed: bool) -> str:
        """Give the id of the world that the stages of a chain are to be in; empty for none.

        It is the one that they are in, unless that is spoilt and ``needed``.  None is made that no cell needs.
        """
        with self._lock:
            current = {self._of.get(device, "") for device in devices}
            world = current.pop() if len(current) == 1 else ""
            if needed and (not world or world in self._spoilt):
                world = f"{self._nonce}.{chain}.{next(self._numbers)}"
            self._of.update(dict.fromkeys(devices, world))
        return world

    def spoil(self, world: str) -> None:
        """Note that a world may be broken."""
        with self._lock:
            self._spoilt.add(world)
