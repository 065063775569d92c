"""How the front moves over the networks: which splits are on it, how many, where, and how much they dominate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from analysis.figures import style
from analysis.moves import Moves, Step
from analysis.studies import Study

_ROW_IN = 0.24
_COLUMN_IN = 0.95
_SIDE_IN = 3.3


@mpl.rc_context(style.RC)
def draw_moves(study: Study) -> Figure | None:
    """Draw splits against networks, best first, and the front's size, place and area; None for one network."""
    moves = study.moves
    if moves is None:
        return None
    splits = members(study, moves)
    margin = 0.3 + 0.07 * max(len(split) for split in splits)
    across = max(_COLUMN_IN * len(moves.steps), 2.2)
    width = margin + across + 0.75 + _SIDE_IN + 0.2
    height = max(len(splits) * _ROW_IN, 3.4) + 1.75
    figure = style.new_figure(width, height)
    grid = figure.add_gridspec(
        3, 2, left=margin / width, right=1 - 0.2 / width, top=1 - 0.75 / height, bottom=1.0 / height,
        width_ratios=(across, _SIDE_IN), wspace=2 * 0.75 / (across + _SIDE_IN), hspace=0.45,
    )  # fmt: skip
    _draw_members(figure.add_subplot(grid[:, 0]), moves, splits)
    sides = [figure.add_subplot(grid[row, 1]) for row in range(3)]
    _draw_counts(sides[0], moves.steps)
    _draw_places(sides[1], moves.steps)
    _draw_areas(sides[2], moves.steps)
    for axes in sides:
        _name_networks(axes, moves, shown=axes is sides[-1])
    _finish(figure, study, margin)
    return figure


def members(study: Study, moves: Moves) -> list[str]:
    """Return the references and the splits that are on a front, or within noise of one, under any network."""
    found = {
        point.split
        for step in moves.steps
        for point in (*step.front.references, *step.front.front_points, *step.front.near_points)
    }
    ordered = [split for split in study.splits if split in found]
    return ordered + sorted(found - set(ordered))


def _draw_members(axes: Axes, moves: Moves, splits: Sequence[str]) -> None:
    rows = {split: row for row, split in enumerate(splits)}
    for column, step in enumerate(moves.steps):
        front = step.front
        for point, on_front, near in zip(front.points, front.on_front, front.within_noise, strict=True):
            if point.split not in rows:
                continue
            colour = style.VERMILLION if point.is_reference else style.BLUE
            shape = "s" if point.is_reference else "o"
            if on_front or near:
                fill = colour if on_front else "white"
                axes.plot(column, rows[point.split], shape, ms=9.0, mfc=fill, mec=colour, mew=1.3)
            else:
                axes.plot(column, rows[point.split], shape, ms=2.0, color=style.MUTED)
    axes.set_ylim(len(splits) - 0.4, -0.6)
    axes.set_yticks(range(len(splits)), splits, fontsize=style.LABEL_SIZE)
    axes.set_title("on the front", loc="left")
    axes.tick_params(length=0)
    _name_networks(axes, moves, shown=True)


def _name_networks(axes: Axes, moves: Moves, *, shown: bool) -> None:
    names = [step.front.condition.network for step in moves.steps]
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_xticks(range(len(names)), names if shown else [""] * len(names), rotation=20, ha="right", fontsize=7.5)


def _draw_counts(axes: Axes, steps: Sequence[Step]) -> None:
    counts = [len(step.front.front_points) for step in steps]
    axes.bar(range(len(steps)), counts, width=0.5, color=style.BLUE)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=2))
    axes.set_title("points on the front", loc="left")


def _draw_places(axes: Axes, steps: Sequence[Step]) -> None:
    places = range(len(steps))
    for label, colour, values in (
        ("blocks", style.GREEN, [step.first_blocks for step in steps]),
        ("computing", style.ORANGE, [step.first_compute for step in steps]),
    ):
        if not all(math.isnan(value) for value in values):
            axes.plot(places, values, "o-", color=colour, ms=5, lw=1.4, label=label)
    axes.set_title("share on the first device", loc="left")
    _percent_axis(axes)
    if axes.lines:
        axes.legend(fontsize=7.5, loc="best")


def _draw_areas(axes: Axes, steps: Sequence[Step]) -> None:
    axes.bar(range(len(steps)), [step.hypervolume_share for step in steps], width=0.5, color=style.PURPLE)
    axes.set_title("hypervolume, share of the ideal", loc="left")
    _percent_axis(axes)


def _percent_axis(axes: Axes) -> None:
    axes.set_ylim(0, 1.06)
    axes.set_yticks([0, 0.5, 1.0])
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _finish(figure: Figure, study: Study, margin: float) -> None:
    width, height = figure.get_size_inches()
    figure.text(
        margin / width, 1 - 0.2 / height, study.title, fontsize=11, fontweight="bold", va="top", color=style.INK
    )
    handles = [
        Line2D([], [], color=style.BLUE, marker="o", ls="", ms=8, label="split on the front"),
        Line2D([], [], color=style.VERMILLION, marker="s", ls="", ms=8, label="unsplit, on the front"),
        Line2D([], [], color=style.INK, marker="o", mfc="white", ls="", ms=8, label="dominated within noise"),
        Line2D([], [], color=style.MUTED, marker="o", ls="", ms=2.5, label="dominated"),
    ]
    figure.legend(handles=handles, loc="lower center", ncols=4, fontsize=8, bbox_to_anchor=(0.5, 0.17 / height))
    note = "networks from the best to the worst"
    figure.text(0.5, 0.05 / height, note, ha="center", va="bottom", fontsize=7.5, color=style.MUTED)
