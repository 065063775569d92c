"""Draw a series: throughput on the left, latency on the right, bounds dashed."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import style
from analysis.intervals import Interval
from bench.scaling.compute import Spot
from bench.scaling.series import Series

_WIDTH_IN, _HEIGHT_IN = 7.6, 3.3
_LOG_AXES = {"batch"}


@mpl.rc_context(style.RC)
def draw(series: Series, model: str, spots: Sequence[Spot]) -> Figure:
    """Draw one line per line of the series, with 95 % intervals; what a bound is known for has it dashed."""
    figure = style.new_figure(_WIDTH_IN, _HEIGHT_IN)
    left, right = figure.subplots(1, 2)
    style.place(figure, left=0.65, right=0.2, top=0.65, bottom=0.55, gaps=(0.75, 0.0))
    lines = list(dict.fromkeys(spot.line for spot in spots))
    for line, colour in zip(lines, style.DEVICE_COLOURS, strict=False):
        own = [spot for spot in spots if spot.line == line]
        _draw_line(left, [(spot.place, spot.throughput) for spot in own], colour, line)
        _draw_bound(left, [(spot.place, spot.throughput_bound) for spot in own], colour)
        _draw_line(right, [(spot.place, spot.latency) for spot in own], colour, line)
        _draw_bound(right, [(spot.place, spot.latency_bound) for spot in own], colour)
    for axes, title in ((left, "images/s"), (right, "latency, ms")):
        _dress(axes, series, title, sorted({spot.place for spot in spots}))
    if lines:
        handles, _ = left.get_legend_handles_labels()
        bound = Line2D([], [], color="0.4", linestyle="--", linewidth=1.0, label="bound")
        left.legend(handles=[*handles, bound], loc="best", fontsize=style.LABEL_SIZE)
    figure.suptitle(f"{series.title} · {model}", x=0.02, ha="left", fontsize=11, fontweight="bold")
    return figure


def _draw_line(axes: Axes, points: Sequence[tuple[int, Interval | None]], colour: str, label: str) -> None:
    known = [(place, figure) for place, figure in points if figure is not None]
    places, values = [place for place, _ in known], [figure.value for _, figure in known]
    axes.plot(places, values, color=colour, marker="o", markersize=4, label=label)
    for place, figure in known:
        if figure.basis != "none":
            axes.plot([place, place], [figure.low, figure.high], color=colour, linewidth=1.5, alpha=0.6)


def _draw_bound(axes: Axes, points: Sequence[tuple[int, float | None]], colour: str) -> None:
    known = [(place, value) for place, value in points if value is not None]
    if known:
        axes.plot(*zip(*known, strict=True), color=colour, linestyle="--", linewidth=1.0, alpha=0.8)


def _dress(axes: Axes, series: Series, title: str, places: Sequence[int]) -> None:
    axes.set_title(title, loc="left")
    axes.set_xlabel(series.of)
    if series.axis in _LOG_AXES:
        axes.set_xscale("log", base=2)
    axes.set_xticks(list(places), [str(place) for place in places])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
