"""The JSON bodies of control frames."""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec

from stage_runtime.errors import FormatError
from stage_runtime.formats.cell import Cell
from stage_runtime.formats.row import HopFigures, StageFigures

Phase = Literal["loading", "waiting", "running", "finishing"]


class Configure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Down: run this cell as stage number ``stage``; ``runtime`` is the sender's version."""

    runtime: str
    stage: int
    cell: Cell


class Error(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up: the run is over, ``device`` is to blame."""

    device: str
    reason: str
    status: Literal["failed", "timeout", "invalid"] = "failed"


class Pong(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up: when the ping arrived and when this left, in nanoseconds of the answering stage's clock."""

    arrived_ns: int
    left_ns: int


class Progress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up: how many batches a stage has received, computed and sent on.

    ``loading`` its blocks, then ``waiting`` for the stages below to be ready, ``running``, and at last
    ``finishing``: collecting figures.
    """

    stage: int
    phase: Phase
    received: int
    computed: int
    sent: int


class Figures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up: what the sender and all stages below it measured.

    ``received_ns`` are the instants at which the sender had each measured batch, by its own clock.
    ``computed_ns`` are those at which the last stage had computed it, by the last stage's clock, which is
    ``offset_ns`` ahead of the sender's, give or take ``uncertainty_ns``.
    """

    stages: tuple[StageFigures, ...]
    hops: tuple[HopFigures, ...]
    received_ns: tuple[int, ...]
    computed_ns: tuple[int, ...]
    offset_ns: int
    uncertainty_ns: int
    warnings: tuple[str, ...]


Message = TypeVar("Message", Configure, Error, Pong, Progress, Figures)


def encode(message: msgspec.Struct) -> bytes:
    """Write a body."""
    return msgspec.json.encode(message)


def decode(body: bytes, expected: type[Message]) -> Message:
    """Read a body; raises FormatError naming the message and what is wrong with it."""
    try:
        return msgspec.json.decode(body, type=expected)
    except msgspec.DecodeError as exc:
        raise FormatError(
            f"a {expected.__name__} message does not parse ({exc}): do all devices have the same runtime? "
            "Run playbooks/provision.yml"
        ) from exc
