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
    """One kind of figure: the module and function that draw it, and what a reader is told.

    ``together``: one process draws them all, because what they need takes long to import.
    """

    name: str
    module: str
    function: str
    title: str
    description: str
    together: bool = False


class Job(NamedTuple):
    """Figures of one kind that are being drawn, for the studies of these slugs."""

    slugs: tuple[str, ...]
    kind: Kind
    formats: Sequence[str]
    contents: Future[list[dict[str, bytes]]]


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
    Kind(
        "heatmap",
        "analysis.figures.heatmap",
        "draw_heatmap",
        "Every split under every network",
        _HEATMAP_TEXT,
        together=True,
    ),
)


def draw(studies: Sequence[Study], kind: Kind, formats: Sequence[str]) -> list[dict[str, bytes]]:
    """Draw one figure per study; return each one's files' contents by format (``svg``, ``png``)."""
    from analysis.figures.style import write  # noqa: PLC0415 - matplotlib is the workers' to import

    function = getattr(importlib.import_module(kind.module), kind.function)
    drawn = []
    for study in studies:
        figure = function(study)
        drawn.append({name: write(figure, name) for name in formats})
    return drawn


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
        # the longest jobs first, so that none is left over at the end
        kinds = sorted(KINDS, key=lambda kind: not kind.together)
        shares = [
            (kind, share)
            for kind in kinds
            for share in ([studies] if kind.together else [[study] for study in studies])
        ]
        return [
            Job(tuple(study.slug for study in share), kind, formats, self._pool.submit(draw, share, kind, wanted))
            for kind, share in shares
        ]

    def finish(self, jobs: Sequence[Job], folder: Path) -> dict[str, list[Picture]]:
        """Write ``<kind>-<study>.<format>`` into ``folder``; return the pictures for the report by study."""
        pictures: dict[str, list[Picture]] = {}
        for job in sorted(jobs, key=lambda job: KINDS.index(job.kind)):
            for slug, contents in zip(job.slugs, job.contents.result(), strict=True):
                for name in job.formats:
                    (folder / f"{job.kind.name}-{slug}.{name}").write_bytes(contents[name])
                picture = Picture(title=job.kind.title, description=job.kind.description, svg=contents["svg"])
                pictures.setdefault(slug, []).append(picture)
        return pictures

    def __enter__(self) -> Self:
        """Use the painters in a ``with`` statement."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes; what is not begun is dropped."""
        self._pool.shutdown(cancel_futures=True)
