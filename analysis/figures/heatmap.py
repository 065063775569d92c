"""Latency and throughput as heat maps of split and network."""

from __future__ import annotations

import math
from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.figures import style
from analysis.fronts import Objective, best
from analysis.intervals import Floats
from analysis.numbers import number
from analysis.studies import Study
from analysis.summary import Point

_ROW_IN = 0.21
_COLUMN_IN = 0.95
_LETTER_IN = 0.105  # of the title


@mpl.rc_context(style.RC)
def draw_heatmap(study: Study) -> Figure:
    """Draw the study's splits (rows) under its networks (columns); the best of a column is framed."""
    networks = [front.condition.network for front in study.fronts]
    margin = 0.3 + 0.07 * max(len(split) for split in study.splits)
    tilt = max(len(network) for network in networks) * 0.075 > _COLUMN_IN
    panel = _COLUMN_IN * len(networks)
    width = max(margin + 2 * panel + 0.6, margin + _LETTER_IN * len(study.title), 5.2)
    below = 0.45 + 0.04 * max(len(network) for network in networks) if tilt else 0.6
    figure = style.new_figure(width, len(study.splits) * _ROW_IN + 0.8 + below)
    left, right = figure.subplots(1, 2, squeeze=False).ravel()
    style.place(figure, left=margin, right=0.15, top=0.8, bottom=below, gaps=(0.3, 0.0))
    _draw_panel(left, study, "latency", "latency (ms), window 1", _latency)
    _draw_panel(right, study, "throughput", "throughput (images/s)", _throughput)
    right.set_yticks([])
    for axes in (left, right):
        axes.set_xticks(
            np.arange(len(networks)) + 0.5, networks, rotation=30 if tilt else 0, ha="right" if tilt else "center"
        )
    height = figure.get_size_inches()[1]
    figure.text(
        margin / width, 1 - 0.2 / height, study.title, fontsize=11, fontweight="bold", va="top", color=style.INK
    )
    note = "framed: the best of each network; darker is better"
    figure.text(0.5, 0.05 / height, note, ha="center", va="bottom", fontsize=7.5, color=style.MUTED)
    return figure


def _latency(point: Point) -> float:
    return point.latency.value


def _throughput(point: Point) -> float:
    return point.throughput.value


def matrix(study: Study, figure_of: Callable[[Point], float]) -> Floats:
    """Return splits x networks, NaN where a split has no point."""
    table = np.full((len(study.splits), len(study.fronts)), math.nan)
    rows = {split: row for row, split in enumerate(study.splits)}
    for column, front in enumerate(study.fronts):
        for point in front.points:
            if point.split in rows:
                table[rows[point.split], column] = figure_of(point)
    return table


def _draw_panel(
    axes: Axes, study: Study, objective: Objective, title: str, figure_of: Callable[[Point], float]
) -> None:
    table = matrix(study, figure_of)
    text = np.array([[("" if math.isnan(cell) else number(cell)) for cell in row] for row in table])
    sns.heatmap(
        table,
        ax=axes,
        annot=text,
        fmt="",
        annot_kws={"fontsize": 7.5},
        norm=LogNorm(float(np.nanmin(table)), float(np.nanmax(table)) * 1.0001),
        cmap="cividis" if objective == "latency" else "cividis_r",
        cbar=False,
        linewidths=0.6,
        linecolor="white",
        yticklabels=list(study.splits),
    )
    axes.set_title(title, loc="left", fontsize=9)
    axes.tick_params(length=0, labelsize=style.LABEL_SIZE)
    axes.tick_params(axis="y", rotation=0)
    for column, front in enumerate(study.fronts):
        row = study.splits.index(best(objective, front.points).split)
        axes.add_patch(Rectangle((column, row), 1, 1, fill=False, ec=style.VERMILLION, lw=2, clip_on=False, zorder=5))
