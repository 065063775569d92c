"""What is measured, as it is written to ``payloads.json``.  Rates are 10⁶ bits per second of payload."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from bench.testbed import BenchError
from stage_runtime.formats.cell import TransportName

SCHEMA = 1

Echo = Literal["bare", "tcp", "rpc"]


class Goodput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frames of one payload sent one behind the other: the receiver's rate, the first of them left out."""

    transport: TransportName
    payload_bytes: int
    frames: int
    mbit: float


class RoundTrip(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A payload sent there and back, ``count`` times one after the other; the median."""

    over: Echo
    payload_bytes: int
    count: int
    ms: float


class Round(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything once, interleaved; ``iperf_mbit`` before the rest and after it."""

    iperf_mbit: tuple[float, ...]
    goodputs: tuple[Goodput, ...]
    round_trips: tuple[RoundTrip, ...]


class IdleTime(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message and its short answer after ``idle_s`` without traffic, with slow start after idle on or off."""

    congestion: str
    slow_start: bool
    message_bytes: int
    idle_s: float
    ms: float


class OnLink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was measured under one network condition; ``left_out`` are payloads too long for it."""

    network: str
    condition: dict[str, Any]
    room_bytes: int
    rounds: tuple[Round, ...]
    left_out: tuple[int, ...] = ()


class Payloads(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it."""

    schema: int = SCHEMA
    started: str
    device: dict[str, Any]
    links: tuple[OnLink, ...]
    idle: tuple[IdleTime, ...] = ()


def write(path: Path, results: Payloads) -> None:
    """Write the results."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")


def read(path: Path) -> Payloads:
    """Read results; raises BenchError naming the file where that is not what it holds."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Payloads)
    except (OSError, msgspec.DecodeError) as exc:
        raise BenchError(f"{path} holds no results of bench.payloads ({exc}); run python -m bench.payloads") from exc
