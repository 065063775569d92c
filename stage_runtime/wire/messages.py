"""The JSON bodies of control frames."""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec

from stage_runtime.errors import FormatError
from stage_runtime.formats.cell import Cell, CodecName, EngineName
from stage_runtime.formats.ready import make_ready
from stage_runtime.telemetry.figures import TelemetryFigures

Phase = Literal["loading", "waiting", "running", "alone", "finishing"]


class Configure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Down: run this cell as stage number ``stage``; ``runtime`` is the sender's version."""

    runtime: str
    stage: int
    cell: Cell


class Error(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up: the run is over, ``device`` is to blame; ``lost`` where its stage, or the way to it, is gone."""

    device: str
    reason: str
    status: Literal["failed", "timeout", "invalid"] = "failed"
    lost: bool = False


class Pong(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up: when the ping arrived and when this left, in nanoseconds of the answering stage's clock."""

    arrived_ns: int
    left_ns: int


class Progress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up: how many batches a stage has received, computed and sent on.

    ``loading`` its blocks, then ``waiting`` for the stages below to be ready, ``running``, at times computing
    ``alone``, and at last ``finishing``: collecting figures.
    """

    stage: int
    phase: Phase
    received: int
    computed: int
    sent: int


class Instants(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When what happened to each batch on one stage, warm-up included, in nanoseconds of its own clock.

    ``decoded`` and ``encode_started`` are empty where the cell has no codec.
    """

    first_byte: tuple[int, ...]
    received: tuple[int, ...]
    started: tuple[int, ...]
    computed: tuple[int, ...]
    send_started: tuple[int, ...]
    sent: tuple[int, ...]
    decoded: tuple[int, ...] = ()
    encode_started: tuple[int, ...] = ()


class StageReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one stage noted; the first stage makes figures of it.

    ``cores_shared`` says that other virtual devices run on its ``cores`` (processor numbers), which are those of the
    ``machine`` of this name.  ``processors`` is its quota.  ``engine`` is what computed; ``alone_ms`` are the times of
    its blocks while no other stage worked, ``alone_cpu_ms`` the processor time.  ``silence_ms`` is the longest that
    nothing came from the stage above while this one waited for it.
    """

    accelerator: str
    threads: int
    load_ms: float
    instants: Instants
    telemetry: TelemetryFigures
    engine: EngineName
    alone_ms: tuple[float, ...] = ()
    alone_cpu_ms: tuple[float, ...] = ()
    cores_shared: bool = False
    cores: tuple[int, ...] = ()
    machine: str = ""
    processors: float | None = None
    silence_ms: float = 0.0


class PingTrain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one train of pings says of the clock below: how far it is ahead at an instant of the sender's."""

    at_ns: int
    offset_ns: int
    uncertainty_ns: int
    round_trip_ns: int


class HopReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a stage noted of its connection to the next: pings before the run and after, and bytes per batch.

    ``frame_bytes`` are those on the wire (median over the batches that were asked to be measured), written by ``codec``
    (never ``auto``); ``raw_bytes`` are the tensor's own, ``result_bytes`` those of a result's frame on its way back.
    ``silence_ms`` is the longest that nothing came from the next stage, ``protection`` what the connection was under.
    """

    frame_bytes: int
    raw_bytes: int
    result_bytes: int = 0
    codec: CodecName
    before: PingTrain
    after: PingTrain
    silence_ms: float = 0.0
    protection: str | None = None


class Figures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up: what the sender and all stages below it noted, in order."""

    stages: tuple[StageReport, ...]
    hops: tuple[HopReport, ...]


Message = TypeVar("Message", Configure, Error, Pong, Progress, Figures)


def encode(message: msgspec.Struct) -> bytes:
    """Write a body."""
    return msgspec.json.encode(message)


def decode(body: bytes, expected: type[Message]) -> Message:
    """Read a body; raises FormatError naming the message and what is wrong with it."""
    try:
        return msgspec.json.decode(body, type=expected)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise FormatError(
            f"a {expected.__name__} message does not parse ({exc}): do all devices have the same runtime? "
            "Run playbooks/provision.yml"
        ) from exc


make_ready(Configure, Error, Pong, Progress, Figures)
