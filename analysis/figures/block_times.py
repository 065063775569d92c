"""Time per block: bars, one panel per device, batch sizes beside each other."""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from analysis.figures import style
from analysis.profiles.costs import ModelCosts

_ROW_IN = 0.2
_PANEL_IN = 3.1
_BAR = 0.8


@mpl.rc_context(style.RC)
def draw_block_times(model: ModelCosts) -> Figure:
    """Draw each block's milliseconds per image on each device, the first batch size in the stronger colour."""
    names = [f"{block.index}  {block.name}" for block in model.blocks]
    margin = 0.35 + 0.065 * max(map(len, names))
    width = max(margin + len(model.devices) * _PANEL_IN + 0.25, 6.0)
    figure = style.new_figure(width, len(names) * _ROW_IN + 1.75)
    panels = figure.subplots(1, len(model.devices), squeeze=False, sharey=True).ravel()
    style.place(figure, left=margin, right=0.25, top=0.75, bottom=1.0, gaps=(0.25, 0.0))
    for place, (axes, device) in enumerate(zip(panels, model.devices, strict=True)):
        _draw_panel(axes, model, device, style.DEVICE_COLOURS[place % len(style.DEVICE_COLOURS)])
        axes.set_title(device, loc="left")
    panels[0].set_ylim(len(names) - 0.4, -0.6)
    panels[0].set_yticks(range(len(names)), names, fontsize=style.LABEL_SIZE)
    _finish(figure, model, margin)
    return figure


def _draw_panel(axes: Axes, model: ModelCosts, device: str, colour: str) -> None:
    height = _BAR / len(model.batches)
    for costs in (one for one in model.costs if one.device == device):
        place = model.batches.index(costs.batch)
        rows = [row - _BAR / 2 + height * (place + 0.5) for row in range(len(costs.blocks))]
        axes.barh(rows, [block.ms / costs.batch for block in costs.blocks], height=height, color=tint(colour, place))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(style.plain_number))
    axes.set_xlabel("ms per image")


def tint(colour: str, place: int) -> tuple[float, float, float]:
    """Return the colour, nearer to white for each further batch size."""
    keep = 0.45**place
    red, green, blue = (1 - keep * (1 - part) for part in to_rgb(colour))
    return red, green, blue


def _finish(figure: Figure, model: ModelCosts, margin: float) -> None:
    width, height = figure.get_size_inches()
    title = f"{model.model} · time per block"
    figure.text(margin / width, 1 - 0.2 / height, title, fontsize=11, fontweight="bold", va="top", color=style.INK)
    handles = [Patch(color=tint(style.INK, place), label=f"batch {batch}") for place, batch in enumerate(model.batches)]
    figure.legend(
        handles=handles, loc="lower center", ncols=len(handles), fontsize=8, bbox_to_anchor=(0.5, 0.2 / height)
    )
    note = "means over passes of the whole model; each device has its own scale"
    figure.text(0.5, 0.05 / height, note, ha="center", va="bottom", fontsize=7.5, color=style.MUTED)
