"""What is measured on a link, and what both ends are told.  Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from stage_runtime.formats.cell import TransportName

KIB = 1024
SIZES = tuple(4 * KIB * 4**step for step in range(8))
"""From 4 KiB to 64 MiB, each four times the one before."""

ECHO_BYTES = 4 * KIB

FAR = "far"
"""The network on which idle times matter."""
# Frames follow each other for at least so long, and there are at least and at most so many of them.
_LEAST_S = 0.5
_LEAST_FRAMES, _MOST_FRAMES = 4, 4000
# An unlimited link of virtual devices, as seen: the emulator moves whole segments.
_UNLIMITED_MBIT = 10_000.0


class Size(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A payload, and how many frames of it make a measurement."""

    payload_bytes: int
    frames: int


class EndConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What both ends are told: ``caller`` drives, ``called`` serves and listens on ``port`` and the next one.

    ``link_mbit`` and ``link_rtt_ms`` size the sockets as a cell's do.  ``secret_file`` holds what both prove to each
    other; it is in no command line.  ``world`` is the RPC world's name, another each time; it meets at ``world_port``.
    iperf3 runs for ``iperf_s`` seconds at either end of a round; 0: not at all.
    """

    caller: str
    called: str
    port: int
    secret_file: str
    world: str
    transports: tuple[TransportName, ...]
    sizes: tuple[Size, ...]
    rounds: int
    seed: int
    link_mbit: float | None = None
    link_rtt_ms: float | None = None
    echoes: int = 100
    iperf_s: float = 0.0
    world_port: int = 0


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the driving end asks of the serving one: to take frames, to send them back, or to let iperf3 listen.

    ``bare`` is an echo over plain sockets.
    """

    what: str
    payload_bytes: int = 0
    frames: int = 0


class Arrived(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the first frame that does not count, and the last frame, were complete; the serving end's clock."""

    begin_ns: int
    end_ns: int
    counted: int


def uncounted(frames: int) -> int:
    """Say how many frames only fill the pipe."""
    return max(1, frames // 4)


def plan_sizes(
    condition: Mapping[str, Any], frame_s: float, sizes: tuple[int, ...] = SIZES
) -> tuple[tuple[Size, ...], tuple[int, ...]]:
    """Give the payloads to measure on a link, and those of which one frame would take longer than ``frame_s``."""
    bytes_per_s = (condition.get("rate_mbit") or _UNLIMITED_MBIT) * 1e6 / 8
    kept = [size for size in sizes if size / bytes_per_s <= frame_s]
    planned = tuple(
        Size(payload_bytes=size, frames=min(_MOST_FRAMES, max(_LEAST_FRAMES, int(_LEAST_S * bytes_per_s / size))))
        for size in kept
    )
    return planned, tuple(size for size in sizes if size not in kept)


def shuffled(config: EndConfig, number: int) -> Iterator[tuple[TransportName, Size]]:
    """Give a round's payloads and transports in an order of its own: payloads shuffled, transports within each."""
    rng = random.Random(f"{config.seed}/{number}")  # noqa: S311  (an order, nothing secret)
    for size in rng.sample(config.sizes, len(config.sizes)):
        for transport in rng.sample(config.transports, len(config.transports)):
            yield transport, size
