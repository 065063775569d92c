"""Draw every figure of every study and write it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from analysis.figures.front import draw_fronts
from analysis.figures.heatmap import draw_heatmap
from analysis.figures.picture import Picture
from analysis.figures.stages import draw_stages
from analysis.figures.style import write
from analysis.studies import Study

_FRONT_TEXT = (
    "Each point is a split, with its 95 % intervals. The stepped line is the front: the most throughput that each "
    "latency allows. Squares are the unsplit model on one device. The ring is the knee."
)
_STAGES_TEXT = (
    "One batch in flight: computing on each device, the links between them, and waiting. The black bar is the "
    "measured latency."
)
_HEATMAP_TEXT = "Darker is better; the best of each network is framed."

_FIGURES: tuple[tuple[str, Callable[[Study], Figure], str, str], ...] = (
    ("front", draw_fronts, "Latency and throughput", _FRONT_TEXT),
    ("stages", draw_stages, "Where a batch's time goes", _STAGES_TEXT),
    ("heatmap", draw_heatmap, "Every split under every network", _HEATMAP_TEXT),
)


def draw_all(studies: Sequence[Study], folder: Path, formats: Sequence[str]) -> dict[str, list[Picture]]:
    """Write ``<figure>-<study>.<format>`` into ``folder`` and return the pictures for the report by study."""
    pictures: dict[str, list[Picture]] = {}
    for study in studies:
        for name, draw, title, description in _FIGURES:
            figure = draw(study)
            svg = write(figure, "svg")
            for kind in formats:
                content = svg if kind == "svg" else write(figure, kind)
                (folder / f"{name}-{study.slug}.{kind}").write_bytes(content)
            pictures.setdefault(study.slug, []).append(Picture(title=title, description=description, svg=svg))
    return pictures
