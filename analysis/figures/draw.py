"""Draw every figure of every study, on all cores."""

from __future__ import annotations

import importlib
import multiprocessing
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Protocol, Self

from analysis.figures.picture import Picture

MOST_WORKERS = 4
# What two cores draw in a quarter of a minute; a report with more figures is read by hardly anybody.
MOST_FIGURES = 36


Subjects = Literal["studies", "transports", "codecs"]


class Subject(Protocol):
    """What a figure is of: a study, or a comparison of transports or codecs."""

    @property
    def slug(self) -> str:
        """Its name in files."""


class Kind(NamedTuple):
    """One kind of figure: the module and function that draw it, and what a reader is told.

    The function returns None for a subject that there is nothing to draw of.
    ``together``: one process draws them all, because what they need takes long to import.
    """

    name: str
    module: str
    function: str
    title: str
    description: str
    together: bool = False
    subjects: Subjects = "studies"


class Job(NamedTuple):
    """Figures of one kind that are being drawn, for the subjects of these slugs."""

    slugs: tuple[str, ...]
    kind: Kind
    formats: Sequence[str]
    contents: Future[list[dict[str, bytes] | None]]


_FRONT_TEXT = (
    "Each point is a split, with its 95 % intervals. The stepped line is the front: the most throughput that each "
    "latency allows. Squares are the unsplit model on one device. The ring is the knee. Points with a blue rim are "
    "dominated within noise only. The broken line is the front that no runtime with these stages and links can beat."
)
_MOVES_TEXT = (
    "From the best network to the worst: which splits are on the front, how many points it has, how much of the model "
    "its points leave on the first device, and the area that it dominates against one reference point."
)
_ATTAINMENT_TEXT = (
    "The same fronts repeat by repeat: the line is what half of the repeats reach, the band what between a quarter and "
    "three quarters of them do."
)
_STAGES_TEXT = (
    "One batch in flight: computing on each device, the links between them, and waiting. The black bar is the "
    "measured latency."
)
_BOUNDS_TEXT = (
    "How far latency (one batch in flight) and throughput stayed from what no runtime can beat with these stages on "
    "these links, and what the latency spent it on."
)
_TRANSPORTS_TEXT = (
    "Each split over both transports in the same blocks of runs. Latency right of 1 and throughput left of 1: RPC is "
    "slower."
)
_CODECS_TEXT = (
    "Each point is a split with a codec: how long a batch takes, and how far its output is from the unsplit model's in "
    "float32. The stepped line is the front: the least error that each latency allows."
)
_HEATMAP_TEXT = "Darker is better; the best of each network is framed."

KINDS = (
    Kind("front", "analysis.figures.front", "draw_fronts", "Latency and throughput", _FRONT_TEXT),
    Kind("moves", "analysis.figures.moves", "draw_moves", "How the front moves", _MOVES_TEXT),
    Kind("attainment", "analysis.figures.attainment", "draw_attainment", "What repeats attain", _ATTAINMENT_TEXT),
    Kind("stages", "analysis.figures.stages", "draw_stages", "Where a batch's time goes", _STAGES_TEXT),
    Kind("bounds", "analysis.figures.bounds", "draw_bounds", "How near the bound", _BOUNDS_TEXT),
    Kind(
        "heatmap",
        "analysis.figures.heatmap",
        "draw_heatmap",
        "Every split under every network",
        _HEATMAP_TEXT,
        together=True,
    ),
    Kind(
        "transports",
        "analysis.figures.transports",
        "draw_transports",
        "RPC against TCP",
        _TRANSPORTS_TEXT,
        subjects="transports",
    ),
    Kind("codecs", "analysis.figures.codecs", "draw_codecs", "Latency and error", _CODECS_TEXT, subjects="codecs"),
)


def draw(subjects: Sequence[Subject], kind: Kind, formats: Sequence[str]) -> list[dict[str, bytes] | None]:
    """Draw one figure per subject; return each one's files' contents by format (``svg``, ``png``), or None."""
    from analysis.figures.style import write  # noqa: PLC0415 - matplotlib is the workers' to import

    function = getattr(importlib.import_module(kind.module), kind.function)
    figures = [function(subject) for subject in subjects]
    return [None if figure is None else {name: write(figure, name) for name in formats} for figure in figures]


class Share(NamedTuple):
    """Figures of one kind that one process draws, one after the other."""

    kind: Kind
    subjects: tuple[Subject, ...]


class Choice(NamedTuple):
    """What is drawn, and how many figures of how many kinds are not."""

    shares: tuple[Share, ...]
    left_out: int
    kinds_left_out: tuple[str, ...]


def choose(subjects: Mapping[Subjects, Sequence[Subject]], most: int | None) -> Choice:
    """Choose at most ``most`` figures (None: all), whole kinds as long as they fit, the first of :data:`KINDS` first.

    Of the first kind as many are drawn as fit, when not even those do.
    """
    shares: list[Share] = []
    left_out, kinds = 0, []
    room = sum(len(subjects[kind.subjects]) for kind in KINDS) if most is None else most
    for kind in KINDS:
        items = subjects[kind.subjects]
        drawn = items if len(items) <= room else items[:room] if kind is KINDS[0] else ()
        room -= len(drawn)
        if len(drawn) < len(items):
            left_out += len(items) - len(drawn)
            kinds.append(kind.name)
        if drawn:
            shares += [Share(kind, tuple(drawn))] if kind.together else [Share(kind, (item,)) for item in drawn]
    return Choice(tuple(shares), left_out, tuple(kinds))


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

    def begin(self, shares: Sequence[Share], formats: Sequence[str]) -> list[Job]:
        """Begin to draw figures in ``formats``, and in SVG for the report."""
        wanted = tuple(dict.fromkeys(("svg", *formats)))
        # the longest jobs first, so that none is left over at the end
        ordered = sorted(shares, key=lambda share: not share.kind.together)
        return [
            Job(tuple(item.slug for item in items), kind, formats, self._pool.submit(draw, items, kind, wanted))
            for kind, items in ordered
        ]

    def finish(self, jobs: Sequence[Job], folder: Path) -> dict[str, list[Picture]]:
        """Write ``<kind>-<subject>.<format>`` into ``folder``; return the pictures for the report by subject."""
        pictures: dict[str, list[Picture]] = {}
        for job in sorted(jobs, key=lambda job: KINDS.index(job.kind)):
            for slug, contents in zip(job.slugs, job.contents.result(), strict=True):
                if contents is None:
                    continue
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
