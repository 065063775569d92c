"""Progress: what has been done, what runs, how long it will take yet.

The state is plain arithmetic; a *screen* shows it.  ``python -m sweep`` uses :class:`RichScreen`,
the Ansible front end one that writes lines through Ansible's own display.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from stage_runtime.formats.row import Row


class Screen(Protocol):
    """Where a sweep says what it does."""

    def line(self, text: str) -> None:
        """Show a line that stays."""

    def state(self, text: str, done: int, total: int) -> None:
        """Show what is going on now; the next call may overwrite it."""


class LineScreen:
    """Write lines through `write`; what goes on now is part of each line."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def line(self, text: str) -> None:
        """Show a line that stays."""
        self._write(text)

    def state(self, text: str, done: int, total: int) -> None:
        """Say nothing: a log has no line to overwrite."""


class RichScreen:
    """A live bar under the lines; falls back to plain lines where there is no terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._bar = Progress(
            BarColumn(bar_width=30),
            TextColumn("{task.description}", markup=False),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Self:
        """Start drawing."""
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing; the lines stay."""
        if self._console.is_terminal:
            self._bar.stop()

    def line(self, text: str) -> None:
        """Show a line that stays."""
        self._console.print(text, markup=False, emoji=False, soft_wrap=True)

    def state(self, text: str, done: int, total: int) -> None:
        """Redraw the bar."""
        self._bar.update(self._task, description=text, completed=done, total=total)


def clock(seconds: float) -> str:
    """Write a duration as ``2:05`` or ``1:02:05``."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, second = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{second:02}" if hours else f"{minutes}:{second:02}"


# The estimate is believed as if it had been right for so long; the first cell waits for stages to start.
_TRUST_S = 30.0


class Tally:
    """Count runs and predict the time left by the estimate's own error so far."""

    def __init__(self, total: int, estimated_s: float) -> None:
        self.total = total
        self.done = 0
        self.by_status: dict[str, int] = {}
        self._estimated_s = estimated_s
        self._estimated_done_s = 0.0
        self._began = time.monotonic()

    def begin(self) -> None:
        """Start the clock: the devices are ready."""
        self._began = time.monotonic()

    def count(self, status: str, estimated_s: float) -> None:
        """Note that a run ended which had been estimated at `estimated_s`."""
        self.done += 1
        self.by_status[status] = self.by_status.get(status, 0) + 1
        self._estimated_done_s += estimated_s

    def left_s(self) -> float:
        """Predict the seconds left."""
        left = max(0.0, self._estimated_s - self._estimated_done_s)
        taken = time.monotonic() - self._began if self.done else 0.0
        return left * (taken + _TRUST_S) / (self._estimated_done_s + _TRUST_S)

    def state(self) -> str:
        """Say where the sweep stands."""
        bad = self.done - self.by_status.get("ok", 0)
        return (
            f"{self.done} of {self.total} cells" + (f", {bad} not ok" if bad else "") + f", {clock(self.left_s())} left"
        )

    def describe(self, row: Row) -> str:
        """Describe a run that just ended, on one line."""
        width = len(str(self.total))
        head = (
            f"[{self.done:>{width}}/{self.total}] {row.model} {row.chain} {row.network} {row.split} window {row.window}"
        )
        if row.batch != 1:
            head += f" batch {row.batch}"
        if row.repeat:
            head += f" repeat {row.repeat}"
        if row.status == "ok" and row.latency_ms is not None and row.throughput_ips is not None:
            said = f"{row.latency_ms:.1f} ms, {row.throughput_ips:.1f} images/s"
        else:
            said = f"{row.status.upper()}: {row.reason}"
        return f"{head}: {said} · {clock(self.left_s())} left"
