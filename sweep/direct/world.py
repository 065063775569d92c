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
    """Wait until every stage is in its world or gave up; where one gave up, give what cells over RPC are to answer."""
    reasons = {stage.config.device: _why_not_up(stage, cancelled) for stage in stages}
    bad = {device: reason for device, reason in reasons.items() if reason}
    if not bad:
        return None
    told = "; ".join(f"{device}: {reason}" for device, reason in bad.items())
    return Measurement(status="failed", reason=f"the RPC world is not up: {told}", failed_device=next(iter(bad)))


def _why_not_up(stage: Stage, cancelled: Callable[[], bool]) -> str:
    """Wait for one stage, which itself gives up in time; empty where its world is up."""
    while True:
        world = stage.status().get("world")
        if world is None:
            return "the stage does not tell how its world is"
        if world["state"] == "up":
            return ""
        if world["state"] == "failed" or cancelled():
            return str(world["reason"] or world["state"])
        time.sleep(_POLL_S)
