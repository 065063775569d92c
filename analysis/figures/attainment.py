"""What the repeats attained: each one's front, and the surfaces that a share of them reach."""

from __future__ import annotations

import itertools
import math

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.attainment import PERCENTS, Attainment, Corners
from analysis.figures import style
from analysis.studies import Study

MOST_COLUMNS = 3
_PANEL_IN = (3.9, 3.0)
_ROOM = 0.06


@mpl.rc_context(style.RC)
def draw_attainment(study: Study) -> Figure | None:
    """Draw a panel per network that was repeated often enough; None where none was."""
    found = study.attainments
    if not found:
        return None
    columns = min(MOST_COLUMNS, len(found))
    rows = math.ceil(len(found) / columns)
    width = max(columns * _PANEL_IN[0] + 0.4, 6.2)
    figure = style.new_figure(width, rows * _PANEL_IN[1] + 1.15)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    style.place(figure, left=0.7, right=0.25, top=0.75, bottom=0.95, gaps=(0.6, 0.8))
    for number, (axes, item) in enumerate(itertools.zip_longest(panels, found)):
        if item is None:
            axes.set_visible(False)
            continue
        _draw_panel(axes, item)
        if number % columns == 0:
            axes.set_ylabel("throughput (images/s)")
    _finish(figure, study)
    return figure


def _draw_panel(axes: Axes, item: Attainment) -> None:
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
    without = f", without {', '.join(item.left_out)}" if item.left_out else ""
    axes.set_title(f"{item.condition.network}, {item.repeats} repeats{without}", loc="left")
    axes.set_xlabel("latency (ms)" + (", log scale" if axes.get_xscale() == "log" else ""))


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
    ]
    figure.legend(handles=handles, loc="lower center", ncols=3, fontsize=8, bbox_to_anchor=(0.5, 0.17 / height))
    note = "better is up and left"
    figure.text(0.5, 0.05 / height, note, ha="center", va="bottom", fontsize=7.5, color=style.MUTED)
