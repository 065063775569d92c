"""Latency against error: every split with every codec, and the front of both."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from analysis.codecs import Trade, Tradeoff
from analysis.figures import style
from analysis.figures.labels import Box, Label, place_labels, to_display

MOST_COLUMNS = 3
_PANEL_IN = (3.4, 2.6)
# Float32 in another order of summation differs by as much: what is nearer is drawn here, and called the same.
_SAME = 1e-6
_MARKER_PX = 3.5
_COLOURS = {
    "none": style.INK,
    "fp16": style.BLUE,
    "int8": style.ORANGE,
    "lossless": style.GREEN,
    "auto": style.PURPLE,
}


@mpl.rc_context(style.RC)
def draw_codecs(tradeoff: Tradeoff) -> Figure:
    """Draw a panel per network: a point for each split and codec, the front as a stepped line."""
    networks = tradeoff.networks
    columns = min(MOST_COLUMNS, len(networks))
    rows = math.ceil(len(networks) / columns)
    figure = style.new_figure(max(0.9 + columns * _PANEL_IN[0], 5.4), rows * _PANEL_IN[1] + (rows - 1) * 0.75 + 1.75)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    style.place(figure, left=0.8, right=0.25, top=0.75, bottom=1.0, gaps=(0.3, 0.75))
    for axes, network in itertools.zip_longest(panels, networks):
        if network is None:
            axes.set_visible(False)
            continue
        _draw_panel(axes, tradeoff.under(network))
        axes.set_title(network, loc="left")
    for row in range(rows):
        panels[row * columns].set_ylabel("relative error")
    _finish(figure, tradeoff)
    return figure


def height_of(trade: Trade) -> float:
    """Return where a trade stands on the axis of errors."""
    return max(trade.relative_error, _SAME)


def front_steps(trades: Sequence[Trade]) -> tuple[list[float], list[float]]:
    """Return the front's corners, from the least latency to the least error; of equal points one."""
    front = sorted({(trade.point.latency.value, height_of(trade)) for trade in trades if trade.on_front})
    return [latency for latency, _ in front], [error for _, error in front]


def _draw_panel(axes: Axes, trades: Sequence[Trade]) -> None:
    axes.step(*front_steps(trades), where="post", color=style.MUTED, lw=1.0, zorder=2)
    for codec, colour in _COLOURS.items():
        own = [trade for trade in trades if trade.point.condition.codec == codec]
        at, error = [trade.point.latency.value for trade in own], [height_of(trade) for trade in own]
        axes.plot(at, error, "o", color=colour, ms=4.0, mew=0, alpha=0.85, zorder=3)
    latencies = [trade.point.latency.value for trade in trades]
    axes.set_yscale("log")
    axes.set_ylim(_SAME / 2, 2 * max(map(height_of, trades), default=1.0))
    axes.yaxis.set_major_locator(LogLocator(base=10, numticks=8))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(_error_text))
    axes.set_xlim(0.94 * min(latencies), 1.08 * max(latencies))
    if max(latencies) > style.LOG_SPAN * min(latencies):
        style.log_axis(axes, "x")
    axes.set_xlabel("latency ms")
    front = sorted((trade for trade in trades if trade.on_front), key=lambda trade: trade.point.latency.value)
    labels = [
        Label(
            text=trade.point.split,
            x=trade.point.latency.value,
            y=height_of(trade),
            colour=_COLOURS[trade.point.condition.codec],
            size=style.LABEL_SIZE,
            required=False,
        )
        for trade in front
    ]
    place_labels(axes, labels, [_marker(axes, trade) for trade in trades])


def _marker(axes: Axes, trade: Trade) -> Box:
    ((x, y),) = to_display(axes, [(trade.point.latency.value, height_of(trade))])
    return Box(left=x - _MARKER_PX, bottom=y - _MARKER_PX, right=x + _MARKER_PX, top=y + _MARKER_PX)


def _error_text(value: float, _position: int | None = None) -> str:
    return "same" if value <= _SAME else f"{value:.0e}".replace("e-0", "e-")


def _finish(figure: Figure, tradeoff: Tradeoff) -> None:
    width, height = figure.get_size_inches()
    title = tradeoff.title
    figure.text(0.8 / width, 1 - 0.2 / height, title, fontsize=11, fontweight="bold", va="top", color=style.INK)
    shown = {trade.point.condition.codec for trade in tradeoff.trades}
    handles = [
        Line2D([], [], color=colour, marker="o", ls="", ms=5, label=codec)
        for codec, colour in _COLOURS.items()
        if codec in shown
    ]
    figure.legend(handles=handles, loc="lower center", ncols=5, fontsize=8, bbox_to_anchor=(0.5, 0.2 / height))
    note = "largest difference from the unsplit float32 output ÷ that output's largest value; left and low is better"
    figure.text(0.5, 0.05 / height, note, ha="center", va="bottom", fontsize=7.5, color=style.MUTED)
