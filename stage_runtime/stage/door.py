"""Where callers are received: how many of them, how long, and what is said of those that are turned away."""

from __future__ import annotations

import collections
import logging
import threading
import time
from collections.abc import Callable

from stage_runtime.errors import TransportError
from stage_runtime.stage.gate import Gate
from stage_runtime.transports.base import Stream

_log = logging.getLogger(__name__)

# Strangers who connect and say nothing hold one of these until the greeting's time is over; those of one address
# leave some to the others.
MOST_GREETINGS = 16
MOST_GREETINGS_EACH = 4
# A chain keeps one connection from each stage above and transport; after failures old ones may linger for a while.
MOST_NEIGHBOURS = 32
_COMPLAIN_EVERY_S = 10.0


class Door:
    """Greets callers in threads of their own, and hands those who know the secret to ``serve``.

    They called ``place`` (``ADDRESS:PORT``).

    ``serve`` has the stream to itself and closes it.  Nothing that a stranger does takes more than one of few
    places for a few seconds, and a line in the log now and then.
    """

    def __init__(self, gate: Gate, place: str, serve: Callable[[Stream], None]) -> None:
        self._gate = gate
        self._place = place
        self._serve = serve
        self._lock = threading.Lock()
        self._greeting: collections.Counter[str] = collections.Counter()
        self._neighbours = 0
        self._complained = -_COMPLAIN_EVERY_S
        self._untold = 0

    def receive(self, stream: Stream) -> None:
        """Take a new stream; returns at once."""
        address = stream.peer.rpartition(":")[0]
        full = self._take_place(address)
        if full:
            stream.close()
            self._complain(f"refused {stream.peer}: {full}")
            return
        try:
            threading.Thread(target=self._greet, args=(stream, address), name="upstream", daemon=True).start()
        except RuntimeError as exc:  # no thread to be had
            self._give_place_back(address)
            stream.close()
            self._complain(f"refused {stream.peer}: {exc}")

    def _take_place(self, address: str) -> str:
        """Count a greeting that begins; gives what there is too much of instead, if there is."""
        with self._lock:
            if self._neighbours + self._greeting.total() >= MOST_NEIGHBOURS:
                return f"{self._neighbours} neighbours are connected"
            if self._greeting[address] >= MOST_GREETINGS_EACH:
                return f"{self._greeting[address]} others from there have not finished their greeting"
            if self._greeting.total() >= MOST_GREETINGS:
                return f"{self._greeting.total()} others have not finished their greeting"
            self._greeting[address] += 1
            return ""

    def _greet(self, stream: Stream, address: str) -> None:
        try:
            admitted = self._gate.admit(stream, self._place)
        except TransportError as exc:
            stream.close()
            self._complain(f"refused a connection: {exc}")
            return
        finally:
            self._give_place_back(address)
        with self._lock:
            self._neighbours += 1
        try:
            self._serve(admitted)
        finally:
            with self._lock:
                self._neighbours -= 1

    def _give_place_back(self, address: str) -> None:
        with self._lock:
            self._greeting[address] -= 1
            self._greeting += collections.Counter()  # forgets addresses that have none

    def _complain(self, text: str) -> None:
        """Log it, unless the last was a moment ago: strangers must not fill the disk."""
        with self._lock:
            now = time.monotonic()
            quiet = now - self._complained < _COMPLAIN_EVERY_S
            self._untold += quiet
            if quiet:
                return
            untold, self._untold, self._complained = self._untold, 0, now
        _log.warning("%s%s", text, f" ({untold} others since the last such line)" if untold else "")
