"""What was measured on each side, as it is written to ``results/bench-netem/netem.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from links.conditions import ETHERNET_HEADER_BYTES
from stage_runtime.errors import SplitbedError

# What is timed and counted one by one: small datagrams, and with them IPv4's, UDP's and Ethernet's headers.
PAYLOAD_BYTES = 64
FRAME_BYTES = PAYLOAD_BYTES + 28 + ETHERNET_HEADER_BYTES


class Measured(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One direction of the link between the hosts under one condition, by one backend.

    ``in_force`` is what the kernel's qdisc (its options as tc prints them) or the emulator says.  ``rates_mbit`` and
    ``messages_ms`` are the probe's, one per round.  ``delays_ms``: one way, of single small datagrams that meet
    an idle link.  Of ``sent`` datagrams, all small and none of those, ``lost`` did not arrive; None where no loss is
    asked for.  ``dropped`` is what the link counted as dropped, for whatever reason, over all measurements.
    """

    source: str
    target: str
    in_force: dict[str, Any]
    rates_mbit: tuple[float, ...]
    messages_ms: tuple[float, ...]
    delays_ms: tuple[float, ...]
    sent: int | None
    lost: int | None
    dropped: int


class Side(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All conditions by one backend: the directions by the condition's name."""

    backend: str
    kernel: str
    conditions: dict[str, tuple[Measured, Measured]]


class Results(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Both sides, and the conditions as they were asked for."""

    started: str
    asked: dict[str, dict[str, Any]]
    netem: Side
    emulator: Side


def write(path: Path, results: Results) -> None:
    """Write the results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1))


def read(path: Path) -> Results:
    """Read results; SplitbedError where there are none or they do not parse."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Results)
    except (OSError, msgspec.DecodeError) as exc:
        raise SplitbedError(f"cannot read {path}: {exc}; measure without --again first") from exc
