"""Draw every figure of every study, on all cores."""

from __future__ import annotations

import importlib
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from analysis.figures.picture import Picture

if TYPE_CHECKING:
    from analysis.studies import Study  # imports numpy; see Painters

MOST_WORKERS = 4


class Kind(NamedTuple):
    """One kind of figure: the module and function that draw it, and what a reader is told."""

    name: str
    module: str
    function: str
    title: str
    description: str


class Job(NamedTuple):
    """One figure that is being drawn for the study of this slug."""

    slug: str
    kind: Kind
    formats: Sequence[str]
    contents: Future[dict[str, bytes]]


_FRONT_TEXT = (
    "Each point is a split, with its 95 % intervals. The stepped line is the front: the most throughput that each "
    "latency allows. Squares are the unsplit model on one device. The ring is the knee."
)
_STAGES_TEXT = (
    "One batch in flight: computing on each device, the links between them, and waiting. The black bar is the "
    "measured latency."
)
_HEATMAP_TEXT = "Darker is better; the best of each network is framed."

KINDS = (
    Kind("front", "analysis.figures.front", "draw_fronts", "Latency and throughput", _FRONT_TEXT),
    Kind("stages", "analysis.figures.stages", "draw_stages", "Where a batch's time goes", _STAGES_TEXT),
    Kind("heatmap", "analysis.figures.heatmap", "draw_heatmap", "Every split under every network", _HEATMAP_TEXT),
)


def draw(study: Study, kind: Kind, formats: Sequence[str]) -> dict[str, bytes]:
    """Draw one figure and return its files' contents by format (``svg``, ``png``)."""
    from analysis.figures.style import write  # noqa: PLC0415 - matplotlib is the workers' to import

    figure = getattr(importlib.import_module(kind.module), kind.function)(study)
    return {name: write(figure, name) for name in formats}


class Painters:
    """Processes that draw; made before the first of numpy's threads, they import while the runs are read.

    Importing matplotlib and seaborn takes as long as all the computing.  The processes are forked, so
    make this before numpy is imported: a fork beside running threads may hang.
    """

    def __init__(self, workers: int | None = None) -> None:
        count = min(len(os.sched_getaffinity(0)) if workers is None else workers, MOST_WORKERS)
        self._pool = ProcessPoolExecutor(
            count,
            mp_context=multiprocessing.get_context("fork"),
            initializer=importlib.import_module,
            initargs=("analysis.figures.front",),
        )
        self._pool.submit(os.getpid)  # the pool makes its processes with its first job

    def begin(self, studies: Sequence[Study], formats: Sequence[str]) -> list[Job]:
        """Begin to draw every figure of every study in ``formats``, and in SVG for the report."""
        wanted = tuple(dict.fromkeys(("svg", *formats)))
        return [
            Job(study.slug, kind, formats, self._pool.submit(draw, study, kind, wanted))
            for study in studies
            for kind in KINDS
        ]

    def finish(self, jobs: Sequence[Job], folder: Path) -> dict[str, list[Picture]]:
        """Write ``<kind>-<study>.<format>`` into ``folder``; return the pictures for the report by study."""
        pictures: dict[str, list[Picture]] = {}
        for job in jobs:
            contents = job.contents.result()
            for name in job.formats:
                (folder / f"{job.kind.name}-{job.slug}.{name}").write_bytes(contents[name])
            picture = Picture(title=job.kind.title, description=job.kind.description, svg=contents["svg"])
            pictures.setdefault(job.slug, []).append(picture)
        return pictures

    def __enter__(self) -> Self:
        """Use the painters in a ``with`` statement."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes; what is not begun is dropped."""
        self._pool.shutdown(cancel_futures=True)
