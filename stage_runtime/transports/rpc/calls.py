"""The calls between two stages, and this process's tables in which they find a stream or a listener.

RPC calls functions by their names, in a process that belongs to one world in its life: hence module tables.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch.distributed import rpc

from stage_runtime.transports.rpc.pieces import Piece

Place = tuple[str, int]
# The calling end's rank, its count of streams, and which end this is: "caller" or "called".
Key = tuple[int, int, str]

_NO_LIMIT = 0  # RPC's own word for it


class End(Protocol):
    """What peers' calls do to one end of a stream."""

    def take(self, number: int, pieces: tuple[Piece, ...], answer: torch.futures.Future[bool]) -> None:
        """Take frame ``number``; answer True once there is room for more, False if the stream has ended."""

    def end_at(self, frames: int) -> None:
        """Note that no more than so many frames come."""


class _Tables:
    """The streams and listeners of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: dict[Key, End] = {}
        self._listeners: dict[Place, Callable[[Key, str], None]] = {}
        self._count = itertools.count()

    def next_number(self) -> int:
        """Give a stream that is opened here its number."""
        return next(self._count)

    def add(self, key: Key, stream: End) -> None:
        """Let peers find a stream."""
        with self._lock:
            self._streams[key] = stream

    def remove(self, key: Key) -> None:
        """Forget a stream."""
        with self._lock:
            self._streams.pop(key, None)

    def stream(self, key: Key) -> End | None:
        """Find a stream."""
        with self._lock:
            return self._streams.get(key)

    def listen(self, place: Place, arrived: Callable[[Key, str], None]) -> bool:
        """Let ``arrived`` know of streams that are opened to a place; False when it is taken."""
        with self._lock:
            return self._listeners.setdefault(place, arrived) is arrived

    def listener(self, place: Place) -> Callable[[Key, str], None] | None:
        """Find who listens at a place."""
        with self._lock:
            return self._listeners.get(place)

    def deafen(self, place: Place) -> None:
        """Listen at a place no more."""
        with self._lock:
            self._listeners.pop(place, None)


class _Outbox:
    """Calls under way to peers."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls = 0

    def call(self, rank: int, done: Callable[[Any], None], function: Callable[..., Any], *arguments: Any) -> None:
        """Call, and tell ``done`` the answer, or the exception if there is none; never blocks.

        There is no time limit: what is sent over a slow link may take long, and a peer that is gone
        breaks the connection or is noticed by whoever waits.
        """

        def finished(future: torch.futures.Future[Any]) -> None:
            try:
                answer = future.value()
            except Exception as exc:  # noqa: BLE001  (RPC raises what it likes)
                answer = exc
            with self._changed:
                self._calls -= 1
                self._changed.notify_all()
            done(answer)

        with self._changed:
            self._calls += 1
        try:
            future = rpc.rpc_async(worker_name(rank), function, args=arguments, timeout=_NO_LIMIT)
        except RuntimeError as exc:
            future = torch.futures.Future()
            future.set_exception(exc)
        future.add_done_callback(finished)

    def flush(self, timeout_s: float) -> None:
        """Wait until all calls were answered, or for as long as given."""
        with self._changed:
            self._changed.wait_for(lambda: self._calls == 0, timeout_s)


TABLES = _Tables()
OUTBOX = _Outbox()


def explain(exc: object) -> str:
    """Give what an exception of RPC's says, in one line and without where in RPC's source it arose."""
    said = " ".join(str(exc).partition("(this error originated at")[0].split())
    return said or type(exc).__name__


def worker_name(rank: int) -> str:
    """Give the name in RPC of the world's member number ``rank`` (RPC refuses dots, which devices may have)."""
    return f"stage{rank}"


# What peers call


def open_stream(place: Place, caller: Key, peer: str) -> bool:
    """Make this end of a stream that ``peer`` opened; False when nobody listens at the place."""
    arrived = TABLES.listener(place)
    if arrived is not None:
        arrived(caller, peer)
    return arrived is not None


@rpc.functions.async_execution  # type: ignore[untyped-decorator]  # torch has no hints for it
def deliver(key: Key, number: int, pieces: tuple[Piece, ...]) -> torch.futures.Future[bool]:
    """Take a frame; the answer comes when there is room for more, and is False when the stream has ended."""
    answer: torch.futures.Future[bool] = torch.futures.Future()
    stream = TABLES.stream(key)
    if stream is None:
        answer.set_result(False)
    else:
        stream.take(number, pieces, answer)
    return answer


def end_stream(key: Key, frames: int) -> None:
    """Note that the peer sent so many frames, and will neither send nor take any more."""
    stream = TABLES.stream(key)
    if stream is not None:
        stream.end_at(frames)


def knows_stream(key: Key) -> bool:
    """Say that this process lives, and whether it still has the stream."""
    return TABLES.stream(key) is not None


def answer_call() -> None:
    """Show that calls get through."""
