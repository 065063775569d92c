"""How far from its bound each split stayed, and where that went: a panel per network, a row per split."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from analysis.bounds import Lost, Nearness
from analysis.figures import style
from analysis.studies import Study

MOST_COLUMNS = 3
_ROW_IN = 0.19
_PANEL_IN = 3.2
_LEAST_SPAN = 0.05
_PARTS = {
    "computing_ms": ("computing slower than alone", style.BLUE),
    "codec_ms": ("codec", style.PURPLE),
    "waiting_ms": ("waiting in a stage", style.SKY),
    "link_ms": ("link beyond wire and delay", style.ORANGE),
    "other_ms": ("other", style.FAINT),
}


@mpl.rc_context(style.RC)
def draw_bounds(study: Study) -> Figure | None:
    """Draw the shares of latency and throughput that the bounds leave unexplained; None where no bound is known."""
    found = {(item.condition, item.split): item for item in study.nearness}
    if not found:
        return None
    columns = min(MOST_COLUMNS, len(study.fronts))
    rows = math.ceil(len(study.fronts) / columns)
    margin = 0.3 + 0.07 * max(len(split) for split in study.splits)
    width = max(margin + columns * _PANEL_IN + 0.2, 6.8)
    panel = max(len(study.splits) * _ROW_IN, 0.8)
    figure = style.new_figure(width, rows * panel + (rows - 1) * 0.75 + 1.95)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    style.place(figure, left=margin, right=0.25, top=0.75, bottom=1.2, gaps=(0.25, 0.75))
    for axes, front in itertools.zip_longest(panels, study.fronts):
        if front is None:
            axes.set_visible(False)
            continue
        shown = {split: found[key] for split in study.splits if (key := (front.condition, split)) in found}
        _draw_panel(axes, shown, study.splits)
        axes.set_title(front.condition.network, loc="left")
    _finish(figure, study, margin)
    return figure


def shares(item: Nearness) -> Mapping[str, float]:
    """Return the lost parts of a split's latency as shares of it, those that are above zero."""
    if item.latency is None:
        return {}
    parts = zip(Lost._fields, item.latency.lost, strict=True)
    return {name: value / item.latency.latency_ms for name, value in parts if value > 0}


def _draw_panel(axes: Axes, shown: Mapping[str, Nearness], splits: Sequence[str]) -> None:
    rows = {split: row for row, split in enumerate(splits)}
    ends = [_LEAST_SPAN]
    begins = dict.fromkeys(shown, 0.0)
    for name, (_, colour) in _PARTS.items():
        own = {split: part for split, item in shown.items() if (part := shares(item).get(name))}
        if own:
            places, lefts = [rows[split] for split in own], [begins[split] for split in own]
            axes.barh(places, list(own.values()), left=lefts, height=0.74, color=colour, edgecolor="white", lw=0.4)
        begins |= {split: begins[split] + part for split, part in own.items()}
    latency = [(rows[split], 1 - item.latency.efficiency.value) for split, item in shown.items() if item.latency]
    rate = [(rows[split], 1 - item.throughput.efficiency.value) for split, item in shown.items() if item.throughput]
    for found, marker, filled in ((latency, "|", True), (rate, "D", False)):
        if found:
            at, values = zip(*found, strict=True)
            inside, size = (style.INK, 8.0) if filled else ("white", 4.5)
            axes.plot(values, at, marker, color=style.INK, mfc=inside, mew=1.2, ms=size, zorder=4)
            ends += values
    axes.axvline(0.0, color=style.INK, lw=0.8, zorder=1)
    axes.set_ylim(len(splits) - 0.4, -0.6)
    axes.set_yticks(range(len(splits)), splits, fontsize=style.LABEL_SIZE)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    high = max([*ends, *begins.values()])
    axes.set_xlim(min(0.0, *ends) - 0.06 * high, 1.06 * high)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.set_xlabel("short of the bound")


def _finish(figure: Figure, study: Study, margin: float) -> None:
    width, height = figure.get_size_inches()
    title = study.title
    figure.text(margin / width, 1 - 0.2 / height, title, fontsize=11, fontweight="bold", va="top", color=style.INK)
    handles: list[Patch | Line2D] = [Patch(color=colour, label=label) for label, colour in _PARTS.values()]
    handles.append(Line2D([], [], color=style.INK, ls="", marker="|", mew=1.2, ms=9, label="latency in all"))
    handles.append(Line2D([], [], color=style.INK, ls="", marker="D", mew=1.2, mfc="white", ms=4.5, label="throughput"))
    figure.legend(handles=handles, loc="lower center", ncols=4, fontsize=8, bbox_to_anchor=(0.5, 0.2 / height))
    note = "1 - efficiency; parts of the latency are shares of it, medians over repeats; left of 0: beyond the bound"
    figure.text(0.5, 0.05 / height, note, ha="center", va="bottom", fontsize=7.5, color=style.MUTED)
