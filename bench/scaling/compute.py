"""Points of a series from its rows: figures with their intervals, bounds, and what rows warn of."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Iterable, Sequence

from analysis.intervals import Interval, interval
from bench.scaling.series import Series
from stage_runtime.formats.row import Row

SHARED = "oversubscribed"
"""How the warning of a row begins whose devices share cores."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spot:
    """One place of a series on one line: medians over repeats with their intervals.

    ``latency`` in ms holds queueing above window 1, ``throughput`` is in images/s; None where nothing was measured.
    Bounds and efficiencies are None where rows have none.  ``shared`` says in the rows' own words which devices share a
    core.
    """

    place: int
    line: str
    split: str
    latency: Interval | None
    throughput: Interval | None
    throughput_bound: float | None
    latency_bound: float | None
    latency_efficiency: float | None
    throughput_efficiency: float | None
    shared: str


def spots_of(series: Series, rows: Iterable[Row]) -> list[Spot]:
    """Give a series' points, line by line along its axis; runs that are not ok are left out."""
    good = [row for row in rows if row.status == "ok" and series.wants(row)]
    found: list[Spot] = []
    for line in series.lines:
        own = [row for row in good if series.line_of(row) == line]
        for place in sorted({series.place_of(row) for row in own}):
            here = [row for row in own if series.place_of(row) == place]
            found.append(_spot(series, place, line, here))
    return found


def _spot(series: Series, place: int, line: str, rows: Sequence[Row]) -> Spot:
    many = [row for row in rows if row.window == series.throughput_window(place)]
    few = [row for row in rows if row.window == series.latency_window(place)]
    shared = (text for row in rows for text in row.warnings if text.startswith(SHARED))
    return Spot(
        place=place,
        line=line,
        split=rows[0].split,
        latency=_figure(few, lambda row: row.latency_ms),
        throughput=_figure(many, lambda row: row.throughput_ips),
        latency_bound=_median(few, lambda row: row.latency_bound_ms if row.window == 1 else None),
        throughput_bound=_median(many, lambda row: row.throughput_bound_ips),
        latency_efficiency=_median(few, lambda row: row.latency_efficiency if row.window == 1 else None),
        throughput_efficiency=_median(many, lambda row: row.throughput_efficiency),
        shared="; ".join(dict.fromkeys(shared)),
    )


def _values(rows: Iterable[Row], pick: Callable[[Row], float | None]) -> list[float]:
    return [value for row in rows if (value := pick(row)) is not None]


def _figure(rows: Iterable[Row], pick: Callable[[Row], float | None]) -> Interval | None:
    values = _values(rows, pick)
    return interval([[value] for value in values]) if values else None


def _median(rows: Iterable[Row], pick: Callable[[Row], float | None]) -> float | None:
    values = _values(rows, pick)
    return statistics.median(values) if values else None
