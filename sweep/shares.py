"""Where a sweep's time went: measuring, setting cells up, between cells, between conditions."""

from __future__ import annotations

from collections import defaultdict

from stage_runtime.formats.row import Row
from sweep.progress import clock


class TimeShares:
    """Add up the times of rows as they come.

    A row's time outside its measuring is the cell's set-up; what lies between the first and the last row
    of a condition and belongs to no row is Ansible's way from cell to cell; the rest of the
    sweep is the conditions' (shaping, checking and clearing links, starting stages).  Where chains run
    side by side their times add up to more than the clock shows, and the shares are of their sum.
    """

    def __init__(self) -> None:
        self._measuring_s = 0.0
        self._cells_s = 0.0
        self._spans: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._inside: dict[tuple[str, str], float] = defaultdict(float)

    def add(self, row: Row, ended_s: float) -> None:
        """Take the times of a run into account that ended at `ended_s` of this machine's clock, if it ever began."""
        if not row.started:
            return
        began = ended_s - row.elapsed_s
        condition = (row.chain, row.network)
        self._measuring_s += row.measuring_s
        self._cells_s += row.elapsed_s
        self._spans[condition] += [began, ended_s]
        self._inside[condition] += row.elapsed_s

    def describe(self, elapsed_s: float) -> str:
        """Say where `elapsed_s` seconds of sweeping went."""
        between = sum(max(0.0, max(span) - min(span) - self._inside[key]) for key, span in self._spans.items())
        total = max(elapsed_s, self._cells_s + between)
        rest = total - self._cells_s - between
        share = 100 * (1 - self._measuring_s / total) if total else 0.0
        return (
            f"swept for {clock(elapsed_s)}: {self._measuring_s:.0f} s measuring, {share:.0f} % not "
            f"({self._cells_s - self._measuring_s:.0f} s setting cells up, {between:.0f} s between cells, "
            f"{rest:.0f} s on conditions)"
        )
