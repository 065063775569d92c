"""Where the time goes: stacked bars of stage and link times, one bar per split, one panel per network."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from analysis.breakdown import Breakdown, Segment
from analysis.figures import style
from analysis.studies import Study

_BAR_IN = 0.19
_PANEL_IN = 3.1


@mpl.rc_context(style.RC)
def draw_stages(study: Study) -> Figure:
    """Draw the way of one batch through each split, window 1, and its measured latency."""
    margin = 0.3 + 0.07 * max(len(split) for split in study.splits)
    width = margin + len(study.fronts) * _PANEL_IN + 0.2
    height = len(study.splits) * _BAR_IN + 1.75
    figure = style.new_figure(max(width, 6.0), height)
    panels = figure.subplots(1, len(study.fronts), squeeze=False, sharey=True).ravel()
    style.place(figure, left=margin, right=0.25, top=0.75, bottom=1.0, gaps=(0.25, 0.0))
    for axes, front in zip(panels, study.fronts, strict=True):
        own = [item for item in study.breakdowns if item.condition == front.condition]
        _draw_panel(axes, own, study)
        axes.set_title(front.condition.network, loc="left")
    panels[0].set_ylim(len(study.splits) - 0.4, -0.6)
    panels[0].set_yticks(range(len(study.splits)), study.splits, fontsize=style.LABEL_SIZE)
    _finish(figure, study, margin)
    return figure


def _colour(segment: Segment, devices: Sequence[str]) -> str:
    if segment.kind == "compute":
        return style.DEVICE_COLOURS[devices.index(segment.where) % len(style.DEVICE_COLOURS)]
    return {"link": style.MUTED, "waiting": style.FAINT, "other": "#F4F4F4"}[segment.kind]


def _draw_panel(axes: Axes, breakdowns: Sequence[Breakdown], study: Study) -> None:
    rows = {split: row for row, split in enumerate(study.splits)}
    bars: dict[tuple[str, bool], list[tuple[int, float, float]]] = {}
    for item in breakdowns:
        start = 0.0
        for segment in item.segments:
            look = (_colour(segment, study.devices), segment.kind == "link")
            bars.setdefault(look, []).append((rows[item.split], start, segment.ms))
            start += segment.ms
    for (colour, is_link), places in bars.items():  # one call for all bars alike: a call each costs seconds
        row, left, width = zip(*places, strict=True)
        hatch = "////" if is_link else None
        axes.barh(row, width, left=left, height=0.74, color=colour, edgecolor="white", linewidth=0.4, hatch=hatch)
    own = [rows[item.split] for item in breakdowns]
    measured = [item.latency_ms for item in breakdowns]
    axes.vlines(measured, [row - 0.42 for row in own], [row + 0.42 for row in own], color=style.INK, lw=1.3, zorder=3)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, max(measured, default=1.0) * 1.06)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(style.plain_number))
    axes.set_xlabel("ms per batch")


def _finish(figure: Figure, study: Study, margin: float) -> None:
    width, height = figure.get_size_inches()
    figure.text(
        margin / width, 1 - 0.2 / height, study.title, fontsize=11, fontweight="bold", va="top", color=style.INK
    )
    segments = [segment for item in study.breakdowns for segment in item.segments]
    handles: list[Patch | Line2D] = [
        Patch(color=style.DEVICE_COLOURS[number % len(style.DEVICE_COLOURS)], label=f"compute {device}")
        for number, device in enumerate(study.devices)
    ]
    handles.append(Patch(facecolor=style.MUTED, edgecolor="white", hatch="////", label="link"))
    if any(segment.kind == "waiting" for segment in segments):
        handles.append(Patch(color=style.FAINT, label="waiting in a stage"))
    handles.append(Patch(facecolor="#F4F4F4", edgecolor=style.FAINT, label="other"))
    handles.append(Line2D([], [], color=style.INK, lw=0, marker="|", mew=1.3, ms=9, label="measured latency"))
    figure.legend(
        handles=handles, loc="lower center", ncols=min(len(handles), 7), fontsize=8, bbox_to_anchor=(0.5, 0.2 / height)
    )
    note = "one batch in flight; medians over repeats; each network has its own scale"
    figure.text(0.5, 0.05 / height, note, ha="center", va="bottom", fontsize=7.5, color=style.MUTED)
