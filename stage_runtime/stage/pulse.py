"""Keep the connections of a run alive while nothing else is sent, and notice when a neighbour falls silent.

A stage that was killed closes its connections, and its neighbours know at once.  One that stands still, and one
behind a link that is down, close nothing: its neighbours would wait for as long as TCP does.  So each end of a
connection sends a beat (32 bytes) when it has sent nothing else for a while, and ends the run when it has waited
for too long without any byte.

Any byte counts, as it arrives: a frame that takes long on a slow link is a sign of life all the while.  A stage that
does not read, because its inputs are full, waits for nobody, and hears nobody: that is no silence.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from stage_runtime.errors import TransportError
from stage_runtime.wire.channel import Channel

_log = logging.getLogger(__name__)

MOST_EVERY_S = 1.0
"""How often a stage looks, and what it sends nothing for before it beats; of a short limit an eighth."""
_SHARE = 8
_STOP_S = 5.0


class _Watched:
    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.longest_s = 0.0


class Pulse:
    """One run's: ``attend`` to a neighbour's connection, ``leave`` it, and ``stop`` at the end.

    ``on_silence`` is told, on the pulse's own thread, who was silent for ``limit_s`` seconds and for how long; once.
    """

    def __init__(self, limit_s: float, on_silence: Callable[[str, float], None]) -> None:
        self._limit_s = limit_s
        self._every_s = min(MOST_EVERY_S, limit_s / _SHARE)
        self._on_silence = on_silence
        self._lock = threading.Lock()
        self._watched: dict[str, _Watched] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="pulse", daemon=True)

    def attend(self, device: str, channel: Channel) -> None:
        """Beat on the connection to a neighbour and listen to it from now on."""
        with self._lock:
            self._watched[device] = _Watched(channel)
        if self._thread.ident is None:
            self._thread.start()

    def leave(self, device: str) -> None:
        """Do so no longer; no beat is under way any more when this returns."""
        with self._lock:
            self._watched.pop(device, None)

    def begin(self) -> None:
        """Count the longest silence from now on."""
        with self._lock:
            for watched in self._watched.values():
                watched.longest_s = 0.0

    def longest_ms(self, device: str) -> float:
        """Give the longest silence of a neighbour, as it was seen about once a second; 0 of one that was left."""
        with self._lock:
            watched = self._watched.get(device)
            return 1000 * watched.longest_s if watched is not None else 0.0

    def stop(self) -> None:
        """End it; no beat is under way any more when this returns."""
        self._stopped.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(_STOP_S)

    def _work(self) -> None:
        while not self._stopped.wait(self._every_s):
            silent = self._look()
            if silent is not None:
                self._on_silence(*silent)
                return

    def _look(self) -> tuple[str, float] | None:
        """Beat where that is due; give who was silent for too long."""
        with self._lock:
            for device, watched in self._watched.items():
                try:
                    watched.channel.beat(self._every_s)
                except TransportError as exc:
                    _log.info("no beat to %s: %s", device, exc)  # whoever reads the connection ends the run
                silence_s = watched.channel.silence_s()
                watched.longest_s = max(watched.longest_s, silence_s)
                if silence_s >= self._limit_s:
                    return device, silence_s
        return None
