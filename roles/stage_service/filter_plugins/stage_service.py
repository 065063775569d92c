"""Filter of the stage_service role: who is in the RPC world."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def stage_service_members(devices: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give the members of a chain's world (``WorldMember`` of the stage's configuration), in the chain's order."""
    return [
        {
            "device": device,
            "address": str(hostvars[device]["data_address"]),
            "port": int(hostvars[device]["stage_port"]),
        }
        for device in devices
    ]


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filter."""
        return {"stage_service_members": stage_service_members}
