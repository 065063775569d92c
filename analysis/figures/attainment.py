"""What the repeats attained: each one's front, and the surfaces that a share of them reach."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.attainment import PERCENTS, Attainment, Corners
from analysis.figures import style
from analysis.numbers import number
from analysis.studies import Study
from analysis.summary import Point

MOST_COLUMNS = 3
_PANEL_IN = (3.9, 3.0)
_ROOM = 0.06
# behind labels that lie on lines
_PAPER: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0}
# from this width on the legend fits into one line
_WIDE_IN = 8.0


@mpl.rc_context(style.RC)
def draw_attainment(study: Study) -> Figure | None:
    """Draw a panel per network that was repeated often enough; None where none was."""
    found = study.attainments
    if not found:
        return None
    columns = min(MOST_COLUMNS, len(found))
    rows = math.ceil(len(found) / columns)
    width = max(columns * _PANEL_IN[0] + 0.4, 6.2)
    below = 0.95 if width > _WIDE_IN else 1.15  # the legend takes two lines there
    figure = style.new_figure(width, rows * _PANEL_IN[1] + 0.2 + below)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    style.place(figure, left=0.7, right=0.25, top=0.75, bottom=below, gaps=(0.6, 0.8))
    for place, (axes, item) in enumerate(itertools.zip_longest(panels, found)):
        if item is None:
            axes.set_visible(False)
            continue
        (front,) = [front for front in study.fronts if front.condition == item.condition]
        _draw_panel(axes, item, front.references)
        if place % columns == 0:
            axes.set_ylabel("throughput (images/s)")
    _finish(figure, study)
    return figure


def _draw_panel(axes: Axes, item: Attainment, references: Sequence[Point]) -> None:
    corners = [corner for surface in (*item.surfaces.values(), *item.fronts) for corner in surface]
    latencies, rates = [x for x, _ in corners], [y for _, y in corners]
    left, right = _limits(min(latencies), max(latencies))
    bottom, top = _limits(min(rates), max(rates))
    if max(latencies) > style.LOG_SPAN * min(latencies) > 0:
        style.log_axis(axes, "x")
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    low, middle, high = (stairs(item.surfaces[percent], right, bottom) for percent in PERCENTS)
    for front in item.fronts:
        axes.plot(*stairs(front, right, bottom), color=style.MUTED, lw=0.6, alpha=0.6, zorder=3)
    # between the two quartile surfaces: the optimistic one forwards, the pessimistic one back
    axes.fill([*low[0], *high[0][::-1]], [*low[1], *high[1][::-1]], color=style.SKY, alpha=0.35, lw=0, zorder=2)
    axes.plot(*middle, color=style.BLUE, lw=1.8, zorder=4)
    _draw_references(axes, references)
    without = f", without {', '.join(item.left_out)}" if item.left_out else ""
    axes.set_title(f"{item.condition.network}, {item.repeats} repeats{without}", loc="left")
    axes.set_xlabel("latency (ms)" + (", log scale" if axes.get_xscale() == "log" else ""))


def _draw_references(axes: Axes, references: Sequence[Point]) -> None:
    """Mark the unsplit model on each device; one that lies beyond the fronts is named at the panel's edge."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    beyond = []
    for point in references:
        x, y = point.latency.value, point.throughput.value
        if not (left < x < right and bottom < y < top):
            beyond.append(f"{point.split} {number(x)} ms, {number(y)}/s")
            continue
        axes.plot(x, y, "s", ms=5.5, mfc="white", mec=style.VERMILLION, mew=1.2, zorder=5)
        axes.annotate(
            point.split, (x, y), xytext=(6, 5), textcoords="offset points", color=style.VERMILLION,
            fontsize=style.LABEL_SIZE, zorder=6, bbox=_PAPER,
        )  # fmt: skip
    if beyond:
        note = "beyond: " + "; ".join(beyond)
        axes.text(
            1.0, 1.02, note, transform=axes.transAxes, ha="right", fontsize=7, color=style.VERMILLION,
        )  # fmt: skip


def _limits(low: float, high: float) -> tuple[float, float]:
    room = max(high - low, 0.05 * high) * _ROOM
    return low - room, high + 2 * room


def stairs(surface: Corners, right: float, bottom: float) -> tuple[list[float], list[float]]:
    """Return a surface as a line: the most throughput attained at each latency, from ``bottom`` out to ``right``."""
    xs, ys = [surface[0][0]], [bottom]
    for latency, rate in surface:
        xs += [latency, latency]
        ys += [ys[-1], rate]
    return [*xs, right], [*ys, ys[-1]]


def _finish(figure: Figure, study: Study) -> None:
    width, height = figure.get_size_inches()
    figure.text(0.7 / width, 1 - 0.2 / height, study.title, fontsize=11, fontweight="bold", va="top", color=style.INK)
    handles = [
        Line2D([], [], color=style.BLUE, lw=1.8, label="reached in half of the repeats"),
        Patch(color=style.SKY, alpha=0.35, lw=0, label="between a quarter and three quarters"),
        Line2D([], [], color=style.MUTED, lw=0.8, label="front of one repeat"),
        Line2D([], [], color=style.VERMILLION, marker="s", mfc="white", ls="", ms=5.5, mew=1.2, label="unsplit"),
    ]
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=4 if width > _WIDE_IN else 2,
        fontsize=8,
        bbox_to_anchor=(0.5, 0.17 / height),
    )
    note = "better is up and left"
    figure.text(0.5, 0.05 / height, note, ha="center", va="bottom", fontsize=7.5, color=style.MUTED)
