"""What each split point means: how much is computed before it, and how many bytes cross it."""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, PercentFormatter

from analysis.figures import style
from analysis.profiles.costs import ModelCosts

_COLUMN_IN = 0.3
_HEIGHT_IN = 5.2
_KIB = 2**10
_MARKERS = "osD^vP"
# more labels than this would run into each other on the widest figure
_MOST_LABELS = 45
_WIDEST_IN = 14.0


@mpl.rc_context(style.RC)
def draw_split_costs(model: ModelCosts) -> Figure:
    """Draw the cumulative share of the time on each device over the split points (one at least), and the bytes."""
    width = min(max(1.4 + len(model.splits) * _COLUMN_IN, 6.2), _WIDEST_IN)
    figure = style.new_figure(width, _HEIGHT_IN)
    above, below = figure.subplots(2, 1, squeeze=False, sharex=True).ravel()
    style.place(figure, left=0.75, right=0.25, top=0.65, bottom=0.85, gaps=(0.0, 0.2))
    _draw_shares(above, model)
    _draw_bytes(below, model)
    step = -(-len(model.splits) // _MOST_LABELS)
    shown = model.splits[::step]
    below.set_xticks([split.index for split in shown], [split.label for split in shown], fontsize=style.LABEL_SIZE)
    below.tick_params(axis="x", length=0)
    below.set_xlim(0.3, len(model.splits) + 0.7)
    _finish(figure, model)
    return figure


def _draw_shares(axes: Axes, model: ModelCosts) -> None:
    xs = [split.index for split in model.splits]
    for place, device in enumerate(model.devices):
        ys = [split.share_before[device] for split in model.splits]
        colour = style.DEVICE_COLOURS[place % len(style.DEVICE_COLOURS)]
        axes.plot(xs, ys, color=colour, marker=_MARKERS[place % len(_MARKERS)], ms=4, lw=1.3, label=device)
    axes.legend(loc="lower right", fontsize=8)
    axes.set_ylim(0, 1.02)
    axes.tick_params(axis="x", length=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylabel("time before the split")


def _draw_bytes(axes: Axes, model: ModelCosts) -> None:
    colours = [style.VERMILLION if split.fewer else style.FAINT for split in model.splits]
    sizes = [split.bytes_per_sample / _KIB for split in model.splits]
    axes.bar([split.index for split in model.splits], sizes, width=0.72, color=colours)
    sent = model.input_bytes_per_sample / _KIB
    axes.axhline(sent, color=style.INK, lw=1.0, ls="--")
    axes.set_ylim(min([*sizes, sent]) / 2, max([*sizes, sent]) * 1.6)
    style.log_axis(axes, "y")
    axes.yaxis.set_major_formatter(FuncFormatter(style.plain_number))
    axes.set_ylabel("KiB that cross, per image")
    axes.grid(visible=False, axis="x")


def _finish(figure: Figure, model: ModelCosts) -> None:
    width, height = figure.get_size_inches()
    title = f"{model.model} · what a split point costs"
    figure.text(0.75 / width, 1 - 0.2 / height, title, fontsize=11, fontweight="bold", va="top", color=style.INK)
    handles: list[Line2D | Patch] = [
        Patch(color=style.VERMILLION, label="fewer bytes than at every earlier point"),
        Patch(color=style.FAINT, label="no fewer"),
        Line2D([], [], color=style.INK, lw=1.0, ls="--", label="the input itself"),
    ]
    figure.legend(
        handles=handles, loc="lower center", ncols=len(handles), fontsize=8, bbox_to_anchor=(0.5, 0.2 / height)
    )
    note = f"batch {model.batches[0]}; of the marked splits each later one sends less and computes more before it"
    figure.text(0.5, 0.05 / height, note, ha="center", va="bottom", fontsize=7.5, color=style.MUTED)
