"""The rates over the payload, a panel per link."""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.figures import style
from bench.payloads.results import OnLink, Payloads
from bench.payloads.table import iperf, lines, size_text
from stage_runtime.formats.cell import TransportName

_PANEL_IN = (3.6, 2.8)
_LOOKS: tuple[tuple[TransportName, str, str], ...] = (("tcp", style.BLUE, "o"), ("rpc", style.VERMILLION, "s"))


@mpl.rc_context(style.RC)
def draw(results: Payloads) -> Figure:
    """Draw the goodput of both transports beside iperf3's."""
    count = len(results.links)
    figure = style.new_figure(count * _PANEL_IN[0] + 0.4, _PANEL_IN[1] + 0.9)
    panels = figure.subplots(1, count, squeeze=False).ravel()
    style.place(figure, left=0.7, right=0.25, top=0.45, bottom=0.95, gaps=(0.6, 0.0))
    for axes, link in zip(panels, results.links, strict=True):
        _draw_link(axes, link)
    panels[0].set_ylabel("payload, Mbit/s")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=len(labels))
    return figure


def _draw_link(axes: Axes, link: OnLink) -> None:
    found = lines(link)
    for transport, colour, marker in _LOOKS:
        mine = [line for line in found if line.transport == transport]
        if mine:
            below = [max(0.0, line.mbit.value - line.mbit.low) if line.mbit.basis != "none" else 0.0 for line in mine]
            above = [max(0.0, line.mbit.high - line.mbit.value) if line.mbit.basis != "none" else 0.0 for line in mine]
            axes.errorbar(
                [line.payload_bytes for line in mine],
                [line.mbit.value for line in mine],
                yerr=[below, above],
                color=colour,
                marker=marker,
                markersize=4,
                linewidth=1.2,
                label=transport.upper(),
            )
    yardstick = iperf(link)
    if yardstick is not None:
        axes.axhline(yardstick.value, color=style.INK, linewidth=1, linestyle="--", label="iperf3")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([4096 * 16**step for step in range(4)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: size_text(int(value))))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("payload")
    axes.set_title(link.network)
