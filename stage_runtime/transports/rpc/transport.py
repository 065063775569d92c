"""How streams over RPC come about."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from typing import Any

from stage_runtime.errors import TransportError, TransportTimeoutError
from stage_runtime.transports.base import Listener, Stream, Transport
from stage_runtime.transports.rpc.calls import OUTBOX, TABLES, Key, Place, explain, open_stream
from stage_runtime.transports.rpc.stream import RpcStream


class RpcListener(Listener):
    """Where streams to one place of this process arrive; no socket of its own."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._closed = False
        self._arrivals: queue.SimpleQueue[RpcStream] = queue.SimpleQueue()

    def arrived(self, caller: Key, peer: str) -> None:
        """Make this end of a stream, and hand it to whoever accepts."""
        stream = RpcStream((*caller[:2], "called"), caller, peer, rank=caller[0])
        with self._lock:
            if not self._closed:
                self._arrivals.put(stream)
                return
        stream.close()

    def accept(self, timeout_s: float) -> Stream | None:
        """Wait for the next stream; see the interface."""
        if self._closed:
            raise TransportError("cannot accept connections: closed")
        try:
            return self._arrivals.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def close(self) -> None:
        """Accept no more, and end what nobody accepted."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        TABLES.deafen(self._place)
        while not self._arrivals.empty():
            self._arrivals.get().close()


class RpcTransport(Transport):
    """RPC between the members of the world that this process has joined, each known by where it listens."""

    def __init__(self, members: Sequence[Place], rank: int) -> None:
        self._ranks = {place: number for number, place in enumerate(members)}
        self._place = members[rank]
        self._rank = rank

    def listen(self, address: str, port: int) -> RpcListener:
        """Take the calls for this address and port; see the interface."""
        listener = RpcListener((address, port))
        if not TABLES.listen((address, port), listener.arrived):
            raise TransportError(f"cannot listen on {address}:{port}: in use by this process")
        return listener

    def connect(self, address: str, port: int, timeout_s: float) -> RpcStream:
        """Open a stream at the member that listens there; see the interface."""
        rank = self._ranks.get((address, port))
        if rank is None:
            raise TransportError(f"cannot connect to {address}:{port}: it is no member of this stage's RPC world")
        number = TABLES.next_number()
        mine, far = (self._rank, number, "caller"), (self._rank, number, "called")
        stream = RpcStream(mine, far, f"{address}:{port}", rank)
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        OUTBOX.call(rank, answers.put, open_stream, (address, port), mine, f"{self._place[0]}:{self._place[1]}")
        try:
            answer = answers.get(timeout=timeout_s)
        except queue.Empty:
            stream.close()
            raise TransportTimeoutError(f"{address}:{port} did not answer in {timeout_s:.1f} s") from None
        if answer is not True:
            stream.close()
            why = "nobody listens" if answer is False else explain(answer)
            raise TransportError(f"cannot connect to {address}:{port}: {why}")
        return stream

    def flush(self, timeout_s: float) -> None:
        """Let what was sent leave this process, which ends soon: RPC sends nothing after that, unlike a kernel."""
        OUTBOX.flush(timeout_s)
