"""How a sweep is stopped from outside: after the running cell, or at once."""

from __future__ import annotations

from collections.abc import Callable


class Control:
    """How a front end stops a sweep: after the running cell, or at once.

    `abandoned` says whether the front end itself is gone.
    """

    def __init__(self, abandoned: Callable[[], bool] = lambda: False) -> None:
        self._abandoned = abandoned
        self._now = False
        self.finishing = False
        self._on_finish: list[Callable[[], None]] = []

    def interrupt(self) -> None:
        """Stop after the running cell; called again, stop at once."""
        self._now = self.finishing
        self.finishing = True
        for call in self._on_finish:
            call()

    def on_finish(self, call: Callable[[], None]) -> None:
        """Have `call` called when the sweep is to stop after the running cell."""
        self._on_finish.append(call)
        if self.finishing:
            call()

    def stopping(self) -> bool:
        """Whether to begin nothing more."""
        return self.finishing or self.cancelled()

    def cancelled(self) -> bool:
        """Whether to stop at once."""
        return self._now or self._abandoned()
