"""Connections to next stages, kept from cell to cell."""

from __future__ import annotations

import threading

from stage_runtime.errors import TransportError
from stage_runtime.formats.cell import CellStage
from stage_runtime.stage.deadline import Deadline
from stage_runtime.transports.base import Transport
from stage_runtime.wire.channel import Channel
from stage_runtime.wire.handshake import greet_listener

_CONNECT_TIMEOUT_S = 10.0


class Neighbours:
    """Idle connections by address.  A run takes one out, and puts it back only when all went well."""

    def __init__(self, transport: Transport, secret: bytes) -> None:
        self._transport = transport
        self._secret = secret
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, int], Channel] = {}

    def take(self, stage: CellStage) -> Channel | None:
        """Take the idle connection to a stage out; None when there is none that still lives."""
        with self._lock:
            channel = self._idle.pop((stage.address, stage.port), None)
        if channel is None or channel.is_quiet():
            return channel
        channel.close()
        return None

    def connect(self, stage: CellStage, deadline: Deadline) -> Channel:
        """Connect anew; raises TransportError."""
        timeout_s = min(_CONNECT_TIMEOUT_S, deadline.left_s())
        try:
            stream = self._transport.connect(stage.address, stage.port, timeout_s)
        except TransportError as exc:
            raise type(exc)(f"{exc}; does its stage run?") from exc
        try:
            greet_listener(stream, self._secret, timeout_s)
        except TransportError:
            stream.close()
            raise
        return Channel(stream)

    def put_back(self, stage: CellStage, channel: Channel) -> None:
        """Keep a connection for the next run."""
        with self._lock:
            before = self._idle.pop((stage.address, stage.port), None)
            self._idle[(stage.address, stage.port)] = channel
        if before is not None:
            before.close()

    def close(self) -> None:
        """Close all idle connections."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for channel in idle.values():
            channel.close()
