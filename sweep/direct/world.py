"""The RPC world of stages on this machine."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence

from stage_runtime.formats.row import Measurement
from stage_runtime.formats.stage_config import WorldConfig, WorldMember
from sweep.direct.devices import store_port
from sweep.direct.stages import Stage
from sweep.testbed import Device

_POLL_S = 0.2


def world_for(devices: Sequence[Device]) -> WorldConfig:
    """Give the stages of a chain the world they are to join; another one each time."""
    return WorldConfig(
        id=secrets.token_hex(8),
        members=tuple(
            WorldMember(device=device.name, address=device.data_address, port=device.stage_port) for device in devices
        ),
        store_port=store_port(devices[0]),
    )


def broken_world(stages: Sequence[Stage], cancelled: Callable[[], bool]) -> Measurement | None:
    """Wait until every stage has joined its world; where one has not, give what its cells are to answer."""
    for stage in stages:
        while (world := stage.status().get("world")) is not None and world["state"] == "joining" and not cancelled():
            time.sleep(_POLL_S)
        if world is None or world["state"] != "up":
            reason = f"the RPC world did not come up: {world['reason'] if world else 'the stage does not answer'}"
            return Measurement(status="failed", reason=reason, failed_device=stage.config.device)
    return None
