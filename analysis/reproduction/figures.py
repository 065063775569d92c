"""The page's own figure: the first device's share of the computing, printed and measured."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import style
from analysis.reproduction.counterpart import Comparison

_ROW_IN = 0.27


@mpl.rc_context(style.RC)
def draw_shares(comparisons: Sequence[Comparison]) -> Figure:
    """Draw a line per printed row: the printed share, and that of each split measured, with its interval."""
    figure = style.new_figure(7.2, _ROW_IN * len(comparisons) + 1.35)
    axes = figure.subplots(1, 1, squeeze=False)[0, 0]
    style.place(figure, left=1.65, right=0.25, top=0.5, bottom=0.85, gaps=(0.0, 0.0))
    for line, item in enumerate(comparisons):
        axes.plot(item.published.front_share, line, "D", ms=6, mfc="white", mec=style.INK, mew=1.3, zorder=4)
        for one in item.measured:
            fits = one is item.fitting
            low = one.share.value if math.isnan(one.share.low) else one.share.low
            high = one.share.value if math.isnan(one.share.high) else one.share.high
            reach = [[one.share.value - low], [high - one.share.value]]
            colour = style.BLUE if fits else style.MUTED
            axes.errorbar(
                [one.share.value], [line], xerr=reach, fmt="o", ms=5.5, color=colour, elinewidth=1.1, zorder=5
            )
            if len(item.measured) > 1:
                axes.annotate(
                    one.candidate.split, (one.share.value, line), xytext=(0, 6), textcoords="offset points",
                    ha="center", fontsize=7, color=colour,
                )  # fmt: skip
    axes.set_yticks(range(len(comparisons)), [f"{item.published.model} {item.published.split}" for item in comparisons])
    axes.set_ylim(len(comparisons) - 0.4, -0.7)
    axes.set_xlim(0, 1.03)
    axes.set_xlabel("the first device's share of the computing")
    axes.set_title("Printed and measured shares", loc="left")
    handles = [
        Line2D([], [], color=style.INK, marker="D", mfc="white", ls="", label="printed"),
        Line2D([], [], color=style.BLUE, marker="o", ls="", label="measured, 95 % interval"),
        Line2D([], [], color=style.MUTED, marker="o", ls="", label="the other reading of the number"),
    ]
    figure.legend(handles=handles, loc="lower center", ncols=3, fontsize=8)
    return figure
