"""Measure the links between devices of this machine, with the commands that measure any link."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec

from links.conditions import UNSHAPED
from links.orders import ChainDevice, Network, Plan
from stage_runtime.formats.row import LinkDirection
from sweep.direct.confine import Confinement
from sweep.direct.devices import NETWORK, probe_port
from sweep.direct.stages import Keeper, environment
from sweep.errors import StageError
from sweep.places import CHECKOUT
from sweep.testbed import Device

_PROBE_S = 120.0
_TTL_S = 60.0


def measure_links(
    devices: Sequence[Device], confinements: Mapping[str, Confinement], keeper: Keeper, folder: Path
) -> tuple[LinkDirection, ...]:
    """Measure both directions of every pair of `devices`, in the confinements that their stages have.

    Nothing is shaped, so nothing is judged.  What the probe's servers say goes into `folder`.  Raises StageError
    where a probe gives no figures.
    """
    found: list[LinkDirection] = []
    for near, far in combinations(devices, 2):
        plan = _plan(near, far, folder)
        with _server(far, confinements[far.name], keeper, folder):
            found += _directions(_ask(plan, confinements[near.name]))
    return tuple(found)


def _plan(near: Device, far: Device, folder: Path) -> Plan:
    return Plan(
        owner="direct",
        ttl_s=_TTL_S,
        run_dir=folder,
        device=near.name,
        chain=tuple(ChainDevice(name=device.name, address=device.data_address) for device in (near, far)),
        network=Network(name=NETWORK, condition={}),
        probe_port=probe_port(far),
    )


@contextlib.contextmanager
def _server(device: Device, confinement: Confinement, keeper: Keeper, folder: Path) -> Iterator[None]:
    """Have a device answer probes for a while."""
    serve = ["probe-serve", "--address", device.data_address, "--port", str(probe_port(device))]
    command = confinement.command([sys.executable, "-m", "links", *serve])
    process = keeper.start(command, folder / f"probe-{device.name}.out")
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _ask(plan: Plan, confinement: Confinement) -> Mapping[str, Any]:
    told = msgspec.json.encode(plan, enc_hook=str).decode()
    command = confinement.command([sys.executable, "-m", "links", "probe", "--plan", told])
    try:
        done = subprocess.run(
            command, cwd=CHECKOUT, env=environment(), capture_output=True, text=True, check=False, timeout=_PROBE_S
        )
        answer = msgspec.json.decode(done.stdout)
    except (subprocess.TimeoutExpired, msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise StageError(plan.device, f"the link probe gave no figures: {exc}") from exc
    if "error" in answer:
        raise StageError(plan.device, f"the link probe: {answer['error']}")
    return dict(answer)


def _directions(answer: Mapping[str, Any]) -> Iterator[LinkDirection]:
    for figures in answer["directions"]:
        yield LinkDirection(
            source=figures["source"],
            target=figures["target"],
            backend="none",
            asked=UNSHAPED.as_dict(),
            in_force=UNSHAPED.as_dict(),
            rtt_ms=figures["rtt_ms"],
            message_ms=figures["message_ms"],
            bulk_mbit=figures["bulk_mbit"],
        )
