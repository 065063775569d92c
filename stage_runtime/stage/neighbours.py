"""Connections to next stages, kept from cell to cell."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from stage_runtime.errors import TransportError
from stage_runtime.formats.cell import CellStage, TransportName
from stage_runtime.stage.deadline import Deadline
from stage_runtime.stage.gate import Gate
from stage_runtime.transports.base import Transport
from stage_runtime.wire.channel import Channel

_CONNECT_TIMEOUT_S = 10.0

_Way = tuple[TransportName, str, int]


class Neighbours:
    """Idle connections by transport and address.  A run takes one out, and puts it back only when all went well.

    ``transport`` gives a transport by its name, and raises TransportError with the reason where it cannot be had.
    ``gate`` makes sure of who is at the other end.
    """

    def __init__(self, transport: Callable[[TransportName], Transport], gate: Gate) -> None:
        self._transport = transport
        self._gate = gate
        self._lock = threading.Lock()
        self._idle: dict[_Way, Channel] = {}

    def require(self, transport: TransportName, *, tls: bool) -> None:
        """Raise TransportError, which says why, where this device cannot use a transport as it is to be used."""
        self._transport(transport)
        if tls != self._gate.has_tls:
            raise TransportError(
                f"this stage is one {_word(tls=self._gate.has_tls)} TLS, and the cell is to run {_word(tls=tls)}; "
                "have the stage_service role start it again"
            )

    def take(self, stage: CellStage, transport: TransportName) -> Channel | None:
        """Take the idle connection to a stage out; None when there is none that still lives."""
        with self._lock:
            channel = self._idle.pop((transport, stage.address, stage.port), None)
        if channel is None or channel.is_quiet():
            return channel
        channel.close()
        return None

    def connect(self, stage: CellStage, transport: TransportName, deadline: Deadline, silence_s: float) -> Channel:
        """Connect anew; raises TransportError, where the other end is silent after ``silence_s`` at most."""
        timeout_s = min(_CONNECT_TIMEOUT_S, silence_s, deadline.left_s())
        end = time.monotonic() + timeout_s
        try:
            stream = self._transport(transport).connect(stage.address, stage.port, timeout_s)
        except TransportError as exc:
            raise type(exc)(f"{exc}; does its stage run?") from exc
        try:
            return Channel(self._gate.enter(stream, stage.address, stage.port, end - time.monotonic()))
        except TransportError:
            stream.close()
            raise

    def put_back(self, stage: CellStage, transport: TransportName, channel: Channel) -> None:
        """Keep a connection for the next run."""
        way = (transport, stage.address, stage.port)
        with self._lock:
            before = self._idle.pop(way, None)
            self._idle[way] = channel
        if before is not None:
            before.close()

    def close(self) -> None:
        """Close all idle connections."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for channel in idle.values():
            channel.close()


def _word(*, tls: bool) -> str:
    return "with" if tls else "without"
