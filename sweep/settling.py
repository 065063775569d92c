"""Decide which cells have been run often enough, from the rows alone.

The same rows give the same answer, so a sweep that was killed and one that was not do the same runs.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec

from stage_runtime.formats.row import Row, Status
from sweep.options import Options


class Span(NamedTuple):
    """The least and the most that something may come to."""

    least: float
    most: float


State = Literal["settled", "at_limit", "failed", "missing"]


class _Runs(msgspec.Struct):
    """What is known of one cell: each repeat's outcome, and the batches of those that are ok."""

    outcomes: dict[int, Status] = {}
    figures: dict[int, tuple[float, ...]] = {}
    lost: set[int] = set()
    again: set[int] = set()
    half_width: float | None = None


class Settling:
    """Which runs of a campaign are still wanted.

    A cell is *settled* once it has ``repeats`` ok runs and its 95 % interval's half width is no more than
    ``target_percent`` of its figure: latency at window 1, throughput above.  It is *given up* once
    ``repeats`` runs of it have failed and none was ok.  Of neither are further repeats wanted; nor beyond
    ``most_repeats``.  With ``retry_failed`` the repeats that had failed when this began are wanted once more, and so
    are those that :meth:`want_again` names.
    """

    def __init__(self, options: Options, rows: Iterable[Row] = ()) -> None:
        self._least = options.repeats
        self._most = options.most_repeats
        self._target = options.target_percent / 100
        self._cells: dict[str, _Runs] = defaultdict(_Runs)
        for row in rows:
            self.note(row)
        if options.retry_failed:
            for runs in self._cells.values():
                runs.again = {repeat for repeat, outcome in runs.outcomes.items() if outcome != "ok"}

    def note(self, row: Row) -> None:
        """Take a row into account; an ``ok`` is never taken back, and the first one counts.

        That a device was lost is no fault of the cell: the first time a repeat is as if not run, the second it failed.
        """
        runs = self._cells[row.cell_id]
        if row.lost and row.repeat not in runs.lost and row.repeat not in runs.outcomes:
            runs.lost.add(row.repeat)
            return
        runs.again.discard(row.repeat)
        if runs.outcomes.get(row.repeat) == "ok":
            return
        runs.outcomes[row.repeat] = row.status
        figure = _figure(row) if row.status == "ok" else ()
        if figure:
            runs.figures[row.repeat] = figure
            runs.half_width = None

    def was_lost(self, cell_id: str, repeat: int) -> bool:
        """Whether this repeat was run and lost its device."""
        return repeat in self._cells[cell_id].lost

    def want_again(self, keys: Iterable[tuple[str, int]]) -> None:
        """Want repeats once more that failed on a device which has been made ready anew."""
        for cell_id, repeat in keys:
            runs = self._cells[cell_id]
            if runs.outcomes.get(repeat, "ok") != "ok":
                runs.again.add(repeat)

    def want_no_more(self, keys: Iterable[tuple[str, int]]) -> None:
        """Take back what :meth:`want_again` asked for, as far as it was not run."""
        for cell_id, repeat in keys:
            self._cells[cell_id].again.discard(repeat)

    def wants(self, cell_id: str, repeat: int) -> bool:
        """Whether this repeat of the cell is still to be run."""
        runs = self._cells[cell_id]
        if repeat in runs.again:
            return True
        return repeat < self._most and repeat not in runs.outcomes and not self._finished(runs)

    def half_width(self, cell_id: str) -> float:
        """Give half of the interval's width over the cell's figure; infinite with fewer than two ok runs."""
        return self._half_width(self._cells[cell_id])

    def left(self, cell_id: str) -> Span:
        """Give the least and the most runs of the cell that are still to come."""
        runs = self._cells[cell_id]
        again = sum(repeat < self._most for repeat in runs.again)
        missing = sum(repeat not in runs.outcomes for repeat in range(self._most))
        if self._finished(runs):
            # what was given up goes on if one of its retries is ok
            return Span(again, again + (missing if again and not _ok(runs) else 0))
        sure = max(1, self._least - (_ok(runs) or len(runs.outcomes)))
        return Span(again + min(missing, sure), again + missing)

    def done(self, cell_id: str) -> int:
        """Give how many of the planned repeats have a row."""
        return sum(repeat < self._most for repeat in self._cells[cell_id].outcomes)

    def state(self, cell_id: str) -> State:
        """Say where the cell stands; with a fixed number of repeats all that are ok are ``settled``."""
        runs = self._cells[cell_id]
        if any(self.wants(cell_id, repeat) for repeat in range(self._most)):
            return "missing"
        if any(runs.outcomes.get(repeat, "ok") != "ok" for repeat in range(self._most)):
            return "failed"
        fixed = self._least == self._most
        return "settled" if fixed or self._half_width(runs) <= self._target else "at_limit"

    def _finished(self, runs: _Runs) -> bool:
        ok = _ok(runs)
        if not ok:
            return len(runs.outcomes) >= self._least
        # a fixed number is not asked how wide its interval is: that takes scipy, which may not be there
        return ok >= self._least and (self._least == self._most or self._half_width(runs) <= self._target)

    def _half_width(self, runs: _Runs) -> float:
        if runs.half_width is None:
            runs.half_width = _relative_half_width(list(runs.figures.values()))
        return runs.half_width


def _ok(runs: _Runs) -> int:
    return sum(outcome == "ok" for outcome in runs.outcomes.values())


def _figure(row: Row) -> tuple[float, ...]:
    """Give the batches of what the cell is run for: latency at window 1, else the run's one throughput."""
    whole = row.latency_ms if row.window == 1 else row.throughput_ips
    if row.window == 1 and row.batch_latency_ms:
        return row.batch_latency_ms
    return () if whole is None else (whole,)


def _relative_half_width(figures: list[tuple[float, ...]]) -> float:
    if len(figures) < 2:  # noqa: PLR2004 - one run tells nothing of how far another would be
        return math.inf
    # scipy takes a third of a second to import, and a fixed number of repeats needs none of it
    from analysis.intervals import relative_half_width  # noqa: PLC0415 - see above

    return relative_half_width(figures)
