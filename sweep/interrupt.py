"""How a sweep is stopped from outside: after the running cell, or at once."""

from __future__ import annotations

import time
from collections.abc import Callable

_POLL_S = 0.1
_TIDY_UNTIL = 2


class Control:
    """How a front end stops a sweep: after the running cell, or at once.

    `abandoned` says whether the front end itself is gone.  Interrupted a third time, it is not even to be tidied up.
    """

    def __init__(self, abandoned: Callable[[], bool] = lambda: False) -> None:
        self._abandoned = abandoned
        self._interrupts = 0
        self._on_finish: list[Callable[[], None]] = []

    def interrupt(self) -> None:
        """Stop after the running cell; called again, stop at once."""
        self._interrupts += 1
        for call in self._on_finish:
            call()

    def finish(self) -> None:
        """Stop after the running cell, if nothing more urgent was asked for: something went wrong elsewhere."""
        if not self.finishing:
            self.interrupt()

    def on_finish(self, call: Callable[[], None]) -> None:
        """Have `call` called when the sweep is to stop after the running cell."""
        self._on_finish.append(call)
        if self.finishing:
            call()

    @property
    def finishing(self) -> bool:
        """Whether somebody asked to stop."""
        return self._interrupts > 0

    def stopping(self) -> bool:
        """Whether to begin nothing more."""
        return self.finishing or self.cancelled()

    def cancelled(self) -> bool:
        """Whether to stop at once."""
        return self._interrupts > 1 or self._abandoned()

    def leaving(self) -> bool:
        """Whether to stop without tidying up."""
        return self._interrupts > _TIDY_UNTIL or self._abandoned()

    def answer(self) -> str:
        """Say what the interrupts up to now ask for, and what one more would."""
        if self.leaving():
            return "leaving what runs on the devices to end by itself"
        if self.cancelled():
            return "stopping at once; once more leaves what runs on the devices to end by itself"
        return "stopping after the running cell; once more stops at once"

    def wait(self, seconds: float) -> bool:
        """Wait, but no longer than the sweep goes on; say whether it does."""
        until = time.monotonic() + seconds
        while not self.stopping() and (left := until - time.monotonic()) > 0:
            time.sleep(min(_POLL_S, left))
        return not self.stopping()
