"""Progress: what has been done, what runs, how long it will take yet.

The state is plain arithmetic; a *screen* shows it.  ``python -m sweep`` uses
:class:`sweep.rich_screen.RichScreen`, the Ansible front end one that writes lines through Ansible's own display.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from stage_runtime.formats.row import Row
from sweep.settling import Span


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


def clock(seconds: float) -> str:
    """Write a duration as ``2:05`` or ``1:02:05``."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, second = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{second:02}" if hours else f"{minutes}:{second:02}"


def clock_span(seconds: Span) -> str:
    """Write a duration between two bounds: ``0:50 to 2:40``, or one time where that is all."""
    least, most = clock(seconds.least), clock(seconds.most)
    return least if least == most else f"{least} to {most}"


def count_span(runs: Span) -> str:
    """Write a number between two bounds: ``48-160``."""
    least, most = f"{runs.least:g}", f"{runs.most:g}"
    return least if least == most else f"{least}-{most}"


# The estimate is believed as if it had been right for so long; the first cell waits for stages to start.
_TRUST_S = 30.0


class Tally:
    """Count runs and predict how many, and how much time, are left, by the estimate's own error so far.

    `seconds` are what one run of each cell is estimated to take, by cell_id; `left` gives the runs of a cell
    that are still to come.
    """

    def __init__(self, seconds: Mapping[str, float], left: Callable[[str], Span]) -> None:
        self.done = 0
        self.by_status: dict[str, int] = {}
        self._seconds = seconds
        self._left = left
        self._runs = {cell_id: left(cell_id) for cell_id in seconds}
        self._least = sum(runs.least for runs in self._runs.values())
        self._most = sum(runs.most for runs in self._runs.values())
        self._least_s = sum(runs.least * seconds[cell_id] for cell_id, runs in self._runs.items())
        self._most_s = sum(runs.most * seconds[cell_id] for cell_id, runs in self._runs.items())
        self._width = len(f"{self._most:g}")
        self._estimated_done_s = 0.0
        self._began = time.monotonic()

    def begin(self) -> None:
        """Start the clock: the devices are ready."""
        self._began = time.monotonic()

    @property
    def total(self) -> Span:
        """The runs of this invocation: those done, and those to come."""
        return Span(self.done + self._least, self.done + self._most)

    def count(self, row: Row) -> None:
        """Note that a run ended, whose row has changed what is left of its cell."""
        self.done += 1
        self.by_status[row.status] = self.by_status.get(row.status, 0) + 1
        seconds, before, now = self._seconds[row.cell_id], self._runs[row.cell_id], self._left(row.cell_id)
        self._runs[row.cell_id] = now
        self._least += now.least - before.least
        self._most += now.most - before.most
        self._least_s += (now.least - before.least) * seconds
        self._most_s += (now.most - before.most) * seconds
        self._estimated_done_s += seconds

    def left_s(self) -> Span:
        """Predict the seconds left."""
        taken = time.monotonic() - self._began if self.done else 0.0
        error = (taken + _TRUST_S) / (self._estimated_done_s + _TRUST_S)
        return Span(max(0.0, self._least_s) * error, max(0.0, self._most_s) * error)

    def state(self) -> str:
        """Say where the sweep stands."""
        bad = self.done - self.by_status.get("ok", 0)
        return (
            f"{self.done} of {count_span(self.total)} runs"
            + (f", {bad} not ok" if bad else "")
            + f", {clock_span(self.left_s())} left"
        )

    def describe(self, row: Row) -> str:
        """Describe a run that just ended, on one line."""
        head = (
            f"[{self.done:>{self._width}}/{count_span(self.total)}] {row.model} {row.chain} {row.network} "
            f"{row.transport} {row.split} window {row.window}"
        )
        if row.batch != 1:
            head += f" batch {row.batch}"
        if row.repeat:
            head += f" repeat {row.repeat}"
        if row.status == "ok" and row.latency_ms is not None and row.throughput_ips is not None:
            said = f"{row.latency_ms:.1f} ms, {row.throughput_ips:.1f} images/s"
        else:
            said = f"{row.status.upper()}: {row.reason}"
        return f"{head}: {said} · {clock_span(self.left_s())} left"
