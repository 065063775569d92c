"""Latency against throughput, one panel per network: every point, the front, the references."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import style
from analysis.figures.labels import Box, Label, place_labels, to_display
from analysis.fronts import Front
from analysis.studies import Study
from analysis.summary import Estimate, Point

MOST_COLUMNS = 3
_PANEL_IN = (4.3, 3.9)
_MARKER_PX = 5.0
_KNEE_PX = 9.0
# from this width on the legend fits into one line
_WIDE_IN = 8.0
# share of an axis' span that is left free at each end
_ROOM = 0.09


@mpl.rc_context(style.RC)
def draw_fronts(study: Study) -> Figure:
    """Draw a study's fronts: points with 95 % intervals, the staircase, split labels."""
    columns = min(MOST_COLUMNS, len(study.fronts))
    rows = math.ceil(len(study.fronts) / columns)
    width = max(columns * _PANEL_IN[0] + 0.4, 6.2)
    below = 0.95 if width > _WIDE_IN else 1.15  # the legend takes two lines there
    figure = style.new_figure(width, rows * _PANEL_IN[1] + below)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    style.place(figure, left=0.7, right=0.25, top=0.75, bottom=below, gaps=(0.65, 0.8))
    for axes, front in itertools.zip_longest(panels, study.fronts):
        if front is None:
            axes.set_visible(False)
            continue
        _draw_panel(axes, front, set(study.splits))
    for row in range(rows):
        panels[row * columns].set_ylabel("throughput (images/s)")
    _finish(figure, study)
    return figure


def _draw_panel(axes: Axes, front: Front, drawn: set[str]) -> None:
    axes.set_title(front.condition.network, loc="left")
    shown = [point for point in front.points if point.split in drawn]
    _set_axis(axes, "x", [point.latency for point in shown])
    _set_axis(axes, "y", [point.throughput for point in shown])
    axes.set_xlabel("latency (ms)" + (", log scale" if axes.get_xscale() == "log" else ""))
    _draw_staircase(axes, front)
    _draw_bounds(axes, shown)
    members = set(front.front_points)
    _draw_points(axes, front, shown, members)
    spots = to_display(axes, [(point.latency.value, point.throughput.value) for point in shown])
    markers = [
        _box(spot, spot, _KNEE_PX if point is front.knee else _MARKER_PX)
        for point, spot in zip(shown, spots, strict=True)
    ]
    place_labels(axes, _labels(front, shown, members), markers, list(_lines(axes, front, shown)))


def _set_axis(axes: Axes, which: str, estimates: Sequence[Estimate]) -> None:
    """Leave room round the outermost intervals for labels; go logarithmic where values differ much."""
    low = min(_low(estimate) for estimate in estimates)
    high = max(_high(estimate) for estimate in estimates)
    if high > style.LOG_SPAN * low > 0:
        room = math.exp(math.log(high / low) * _ROOM)
        limits = (low / room, high * room)
    else:
        room = max(high - low, 0.1 * high) * _ROOM
        limits = (max(0.0, low - room), high + room)
    if which == "x":
        axes.set_xlim(*limits)
    else:
        axes.set_ylim(*limits)
    if high > style.LOG_SPAN * low > 0:
        style.log_axis(axes, which)


def _low(estimate: Estimate) -> float:
    return estimate.value if math.isnan(estimate.low) else min(estimate.low, estimate.value)


def _high(estimate: Estimate) -> float:
    return estimate.value if math.isnan(estimate.high) else max(estimate.high, estimate.value)


def staircase(front: Front, right: float, bottom: float) -> tuple[list[float], list[float]]:
    """Return the corners of the front: the most throughput that each latency allows.

    It starts at ``bottom`` below the least latency and runs out to ``right``.
    """
    members = front.front_points
    xs, ys = [members[0].latency.value], [bottom]
    for point in members:
        xs += [point.latency.value, point.latency.value]
        ys += [ys[-1], point.throughput.value]
    return [*xs, right], [*ys, ys[-1]]


def _draw_staircase(axes: Axes, front: Front) -> None:
    xs, ys = staircase(front, axes.get_xlim()[1], axes.get_ylim()[0])
    axes.plot(xs, ys, color=style.BLUE, lw=1.4, zorder=3, solid_joinstyle="miter")
    axes.fill_between(xs, ys, axes.get_ylim()[0], color=style.BLUE, alpha=0.06, lw=0, zorder=1)


def bound_stairs(points: Sequence[Point], right: float, bottom: float) -> tuple[list[float], list[float]]:
    """Return the corners of the front that these splits' bounds would make; nothing where no bound is known."""
    known = sorted(
        (point.near.latency_bound_ms, point.near.throughput_bound_ips)
        for point in points
        if not math.isnan(point.near.latency_bound_ms + point.near.throughput_bound_ips)
    )
    if not known:
        return [], []
    xs, ys = [known[0][0]], [bottom]
    for latency, throughput in known:
        if throughput > ys[-1]:
            xs += [latency, latency]
            ys += [ys[-1], throughput]
    return [*xs, right], [*ys, ys[-1]]


def _draw_bounds(axes: Axes, shown: Sequence[Point]) -> None:
    xs, ys = bound_stairs(shown, axes.get_xlim()[1], axes.get_ylim()[0])
    axes.plot(xs, ys, color=style.GREEN, lw=1.0, ls=(0, (4, 2)), zorder=2, solid_joinstyle="miter")


def _draw_points(axes: Axes, front: Front, shown: Sequence[Point], members: set[Point]) -> None:
    """Draw markers and intervals, in one call for all points that look alike: a call each costs seconds."""
    near = set(front.near_points)
    groups: dict[tuple[bool, bool, bool], list[Point]] = {}
    for point in shown:
        groups.setdefault((point in members, point.is_reference, point in near), []).append(point)
    for (on_front, is_reference, is_near), points in groups.items():
        colour = style.VERMILLION if is_reference else style.BLUE if on_front or is_near else style.MUTED
        strong = on_front or is_reference
        axes.errorbar(
            [point.latency.value for point in points],
            [point.throughput.value for point in points],
            xerr=_reach([point.latency for point in points]),
            yerr=_reach([point.throughput for point in points]),
            fmt="s" if is_reference else "o",
            ms=6.0 if strong else 4.0,
            color=colour,
            mfc=colour if on_front else "white",
            mew=1.2,
            elinewidth=0.9,
            alpha=1.0 if strong else 0.75,
            zorder=5 if strong else 4,
        )
    if front.knee is not None:
        where = front.knee.latency.value, front.knee.throughput.value
        axes.plot(*where, "o", ms=12, mfc="none", mec=style.INK, mew=1.1, zorder=5)


def _reach(estimates: Sequence[Estimate]) -> list[list[float]]:
    return [
        [estimate.value - _low(estimate) for estimate in estimates],
        [_high(estimate) - estimate.value for estimate in estimates],
    ]


def _labels(front: Front, shown: Sequence[Point], members: set[Point]) -> list[Label]:
    """Label the front and the references always, the other splits where there is room."""

    def importance(point: Point) -> int:
        return 0 if point is front.knee else 1 if point.is_reference else 2 if point in members else 3

    return [
        Label(
            text=point.split,
            x=point.latency.value,
            y=point.throughput.value,
            colour=style.VERMILLION if point.is_reference else style.BLUE if point in members else style.MUTED,
            size=style.LABEL_SIZE if importance(point) < 3 else style.LABEL_SIZE - 1.5,  # noqa: PLR2004 - the least important
            weight="bold" if point is front.knee else "normal",
            required=importance(point) < 3,  # noqa: PLR2004 - the least important
        )
        for point in sorted(shown, key=importance)
    ]


def _box(start: tuple[float, float], end: tuple[float, float], reach: float) -> Box:
    return Box(left=start[0] - reach, right=end[0] + reach, bottom=start[1] - reach, top=end[1] + reach)


def _lines(axes: Axes, front: Front, shown: Sequence[Point]) -> Iterator[Box]:
    """Yield thin boxes along the staircase and the strong points' intervals, for labels to keep off."""
    xs, ys = staircase(front, axes.get_xlim()[1], axes.get_ylim()[0])
    ends = list(itertools.pairwise(zip(xs, ys, strict=True)))
    for point in shown:
        x, y = point.latency.value, point.throughput.value
        ends.append(((_low(point.latency), y), (_high(point.latency), y)))
        ends.append(((x, _low(point.throughput)), (x, _high(point.throughput))))
    starts, stops = (to_display(axes, corners) for corners in zip(*ends, strict=True))
    for start, stop in zip(starts, stops, strict=True):
        yield _box(start, stop, 0.5)


def _finish(figure: Figure, study: Study) -> None:
    width, height = figure.get_size_inches()
    figure.text(0.7 / width, 1 - 0.2 / height, study.title, fontsize=11, fontweight="bold", va="top", color=style.INK)
    marker: dict[str, Any] = {"ls": "", "ms": 6, "mew": 1.2}
    handles = [
        Line2D([], [], color=style.BLUE, marker="o", lw=1.4, ms=6, label="front"),
        Line2D([], [], color=style.MUTED, marker="o", mfc="white", label="dominated split", **marker),
        Line2D([], [], color=style.BLUE, marker="o", mfc="white", label="within noise", **marker),
        Line2D([], [], color=style.VERMILLION, marker="s", label="unsplit, on the front", **marker),
        Line2D([], [], color=style.VERMILLION, marker="s", mfc="white", label="unsplit, dominated", **marker),
        Line2D([], [], color=style.INK, marker="o", mfc="none", ls="", ms=11, mew=1.1, label="knee"),
    ]
    if any(not math.isnan(point.near.latency_bound_ms) for front in study.fronts for point in front.points):
        handles.append(Line2D([], [], color=style.GREEN, lw=1.0, ls=(0, (4, 2)), label="bound"))
    columns = len(handles) if width > _WIDE_IN else math.ceil(len(handles) / 2)
    figure.legend(handles=handles, loc="lower center", ncols=columns, fontsize=8, bbox_to_anchor=(0.5, 0.17 / height))
    more = f"; {study.left_out} further splits are in the tables" if study.left_out else ""
    note = f"medians with 95 % intervals; better is up and left{more}"
    figure.text(0.5, 0.05 / height, note, ha="center", va="bottom", fontsize=7.5, color=style.MUTED)
