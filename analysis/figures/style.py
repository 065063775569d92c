"""The look that all figures share, and the one place that writes them."""

from __future__ import annotations

import io
import math
import re
from collections import Counter
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

# Okabe and Ito's palette (2008), told apart with every common colour blindness and in grey
BLUE: Final = "#0072B2"
VERMILLION: Final = "#D55E00"
GREEN: Final = "#009E73"
PURPLE: Final = "#CC79A7"
ORANGE: Final = "#E69F00"
SKY: Final = "#56B4E9"
INK: Final = "#222222"
MUTED: Final = "#8A8A8A"
FAINT: Final = "#D9D9D9"
DEVICE_COLOURS: Final = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION)

LABEL_SIZE: Final = 8.0
PNG_DPI: Final = 150
# conditions or splits that differ by more than this share no linear axis
LOG_SPAN: Final = 6.0
# which multiples of a power of ten get a tick, for axes that span at most so much
_LOG_STEPS: Final = (
    (15.0, (1.0, 2.0, 3.0, 5.0, 7.0)),
    (60.0, (1.0, 2.0, 5.0)),
    (1000.0, (1.0, 3.0)),
    (math.inf, (1.0,)),
)
_MOST_TICKS: Final = 12

# as matplotlib writes it into each text of an SVG, but for its quotes
_FONT: Final = "font-family: DejaVu Sans, Verdana, sans-serif"

# each function that draws or writes is decorated with `mpl.rc_context(RC)`, so that a notebook's own
# settings stay as they are; Any, because matplotlib types the keys as one literal each
RC: Final[Any] = {
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titley": 1.0,  # a set place: looking for one measures every tick label of every panel twice
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#ECECEC",
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    # text stays text: drawn as paths it is two thirds of a figure's bytes.  Verdana has the widths of DejaVu
    # Sans, which figures are laid out with, and stands in where that is not installed
    "svg.fonttype": "none",
    "font.sans-serif": ["DejaVu Sans", "Verdana"],
    "svg.hashsalt": "splitbed",
    "figure.dpi": 100,
}


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure; it needs no display and leaves no state in pyplot."""
    return Figure(figsize=(width_in, height_in))


def place(figure: Figure, *, left: float, right: float, top: float, bottom: float, gaps: tuple[float, float]) -> None:
    """Set the margins and the gaps between panels (across, down), all in inches.

    Fixed margins instead of a layout engine: labels are placed in display coordinates, which an
    engine would move afterwards, and it would lay the figure out anew for each file written.
    """
    width, height = figure.get_size_inches()
    grid = figure.axes[0].get_subplotspec()
    rows, columns = grid.get_gridspec().get_geometry() if grid is not None else (1, 1)
    panel_width = (width - left - right - gaps[0] * (columns - 1)) / columns
    panel_height = (height - top - bottom - gaps[1] * (rows - 1)) / rows
    figure.subplots_adjust(
        left=left / width,
        right=1 - right / width,
        top=1 - top / height,
        bottom=bottom / height,
        wspace=gaps[0] / panel_width,
        hspace=gaps[1] / panel_height,
    )


def plain_number(value: float, _position: int | None = None) -> str:
    """Write a number for an axis: three significant digits, thousands apart."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits are enough


def log_axis(axes: Axes, which: str) -> None:
    """Make an axis logarithmic with plain numbers, enough of them also within one decade."""
    axis: Axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    steps = next(steps for span, steps in _LOG_STEPS if high / low <= span)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)))
    places = [step * 10.0**decade for decade in decades for step in steps if low <= step * 10.0**decade <= high]
    # a locator would give ticks outside as well, and each takes as long to make as one that is seen
    axis.set_major_locator(FixedLocator(places[:: math.ceil(len(places) / _MOST_TICKS)]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(plain_number))


@mpl.rc_context(RC)
def write(figure: Figure, kind: str) -> bytes:
    """Return the figure as ``svg`` or ``png``; equal figures give equal bytes."""
    buffer = io.BytesIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type")) if kind == "svg" else {"Software": None}
    figure.savefig(buffer, format=kind, dpi=PNG_DPI, metadata=metadata, facecolor="white")
    return slim(buffer.getvalue()) if kind == "svg" else buffer.getvalue()


def slim(svg: bytes) -> bytes:
    """Return matplotlib's SVG without what no eye can see, and with equal styles named once: half the bytes."""
    text = re.sub(r"<!--.*?-->|<!DOCTYPE.*?>", "", svg.decode(), flags=re.DOTALL)
    text = re.sub(r"<[^/][^>]*>", _slim_tag, text)
    text = re.sub(r">\s*\n\s*<", "><", text)
    text = re.sub(r"<g>(<(?:path|use|text) [^>]*(?:/>|>[^<]*</text>))</g>", r"\1", text)
    counts = Counter(re.findall(r" style=\"([^\"]*)\"", text))
    names = {style: f"s{place}" for place, (style, count) in enumerate(counts.items()) if count > 1}
    rules = "".join(f".{name}{{{style}}}" for style, name in names.items())
    text = re.sub(
        r" style=\"([^\"]*)\"", lambda found: f' class="{names[found[1]]}"' if found[1] in names else found[0], text
    )
    return text.replace("</style>", f"text{{{_FONT}}}{rules}</style>", 1).encode()


def _slim_tag(tag: re.Match[str]) -> str:
    """Shorten a tag; text between tags may hold figures of its own, and is left alone."""
    text = re.sub(r"\s+", " ", tag.group()).replace("'", "").replace(f" {_FONT};", "")
    text = re.sub(r" transform=\"rotate\(-0 [^)]*\)\"", "", text)
    # nothing refers to the numbered parts; markers and clip paths have names of another form
    text = re.sub(r" id=\"[\w.]*[a-zA-Z]_\d+\"", "", text)
    text = re.sub(r"(?<=\d\.\d\d)\d+(?=[ \",)])", "", text)
    text = re.sub(r" d=\"[^\"]*", lambda found: " d" + re.sub(r" ?([A-Za-z]) ?", r"\1", found[0][2:]), text)
    # what clips a part is a style as well, and then named once with the rest of it
    return re.sub(r" clip-path=\"([^\"]*)\" style=\"", r' style="clip-path: \1; ', text)
