"""RPC against TCP, split by split: ratios of latency and throughput with their intervals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.figures import style
from analysis.intervals import Interval
from analysis.transports import BASE, OTHER, Comparison, SplitPair

MOST_COLUMNS = 3
MOST_SPLITS = 48
_ROW_IN = 0.19
_PANEL_IN = 3.2


@mpl.rc_context(style.RC)
def draw_transports(comparison: Comparison) -> Figure:
    """Draw a panel per network: a row per split, its latency ratio and its throughput ratio at the widest window."""
    splits = list(dict.fromkeys(pair.split for pair in comparison.splits))[:MOST_SPLITS]
    networks = list(dict.fromkeys(pair.condition.network for pair in comparison.splits))
    columns = min(MOST_COLUMNS, len(networks))
    rows = math.ceil(len(networks) / columns)
    margin = 0.3 + 0.07 * max(len(split) for split in splits)
    width = max(margin + columns * _PANEL_IN + 0.2, 6.4)
    panel = max(len(splits) * _ROW_IN, 0.8)
    figure = style.new_figure(width, rows * panel + (rows - 1) * 0.75 + 1.75)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    style.place(figure, left=margin, right=0.25, top=0.75, bottom=1.0, gaps=(0.25, 0.75))
    for axes, network in itertools.zip_longest(panels, networks):
        if network is None:
            axes.set_visible(False)
            continue
        _draw_panel(axes, [pair for pair in comparison.splits if pair.condition.network == network], splits)
        axes.set_title(network, loc="left")
    _finish(figure, comparison, margin)
    return figure


def _draw_panel(axes: Axes, pairs: Sequence[SplitPair], splits: Sequence[str]) -> None:
    rows = {split: row for row, split in enumerate(splits)}
    widest: dict[str, SplitPair] = {}
    for pair in sorted(pairs, key=lambda pair: pair.window):
        widest[pair.split] = pair
    latency = [(rows[p.split], p.latency_ratio) for p in pairs if p.latency_ratio is not None and p.split in rows]
    rate = [(rows[split], pair.throughput_ratio) for split, pair in widest.items() if split in rows]
    axes.axvline(1.0, color=style.INK, lw=0.8, zorder=1)
    _draw_ratios(axes, latency, -0.16, style.BLUE, "o")
    _draw_ratios(axes, rate, 0.16, style.ORANGE, "s")
    axes.set_ylim(len(splits) - 0.4, -0.6)
    axes.set_yticks(range(len(splits)), splits, fontsize=style.LABEL_SIZE)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(*_limits([ratio for _, ratio in (*latency, *rate)]))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(f"{OTHER} ÷ {BASE}")


def _draw_ratios(axes: Axes, ratios: Sequence[tuple[int, Interval]], shift: float, colour: str, marker: str) -> None:
    if not ratios:
        return
    values = [ratio.value for _, ratio in ratios]
    below = [0.0 if math.isnan(ratio.low) else ratio.value - ratio.low for _, ratio in ratios]
    above = [0.0 if math.isnan(ratio.high) else ratio.high - ratio.value for _, ratio in ratios]
    places = [row + shift for row, _ in ratios]
    axes.errorbar(
        values, places, xerr=[below, above], fmt=marker, ms=3.5, color=colour, elinewidth=0.9, mew=0, zorder=3
    )


def _limits(ratios: Sequence[Interval]) -> tuple[float, float]:
    """Show every ratio and 1; an interval of two pairs may run out of the panel."""
    values = [1.0, *(ratio.value for ratio in ratios)]
    ends = [end for ratio in ratios for end in (ratio.low, ratio.high) if not math.isnan(end)]
    span = max(max(values) - min(values), 0.1)
    low = max(min([*values, *ends]), min(values) - span)
    high = min(max([*values, *ends]), max(values) + span)
    return low - 0.06 * span, high + 0.06 * span


def _finish(figure: Figure, comparison: Comparison, margin: float) -> None:
    width, height = figure.get_size_inches()
    title = comparison.title
    figure.text(margin / width, 1 - 0.2 / height, title, fontsize=11, fontweight="bold", va="top", color=style.INK)
    handles = [
        Line2D([], [], color=style.BLUE, marker="o", ls="", ms=5, label="latency, one batch in flight"),
        Line2D([], [], color=style.ORANGE, marker="s", ls="", ms=5, label="throughput, widest window"),
    ]
    figure.legend(handles=handles, loc="lower center", ncols=2, fontsize=8, bbox_to_anchor=(0.5, 0.2 / height))
    note = f"left of 1: {OTHER} has less latency, or less throughput; 95 % intervals over pairs of runs of one block"
    figure.text(0.5, 0.05 / height, note, ha="center", va="bottom", fontsize=7.5, color=style.MUTED)
