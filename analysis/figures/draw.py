"""Draw every figure of every study, on all cores."""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Protocol, Self

from analysis.figures.picture import Picture

MOST_WORKERS = 4
# What two cores draw in some five seconds; a report with more figures is read by hardly anybody.
MOST_FIGURES = 24


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


class Drawings:
    """Figures that are being drawn into a folder."""

    def __init__(self, jobs: Sequence[Job], folder: Path) -> None:
        self._jobs = sorted(jobs, key=lambda job: KINDS.index(job.kind))
        self._folder = folder

    def of(self, slug: str) -> list[Picture]:
        """Wait for the figures of a subject, write ``<kind>-<subject>.<format>``, and return them for the report."""
        pictures = []
        for job in self._jobs:
            if slug not in job.slugs:
                continue
            contents = job.contents.result()[job.slugs.index(slug)]
            if contents is None:
                continue
            for name in job.formats:
                (self._folder / f"{job.kind.name}-{slug}.{name}").write_bytes(contents[name])
            pictures.append(Picture(title=job.kind.title, description=job.kind.description, svg=contents["svg"]))
        return pictures


class Painters:
    """Processes that draw; they import matplotlib, once for all of them and while this process goes on.

    Importing it takes as long as drawing several figures.
    """

    def __init__(self, workers: int | None = None) -> None:
        count = min(len(os.sched_getaffinity(0)) if workers is None else workers, MOST_WORKERS)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["analysis.figures.front"])
        # what is imported is no garbage: looking through it again and again takes a tenth of the drawing
        self._pool = ProcessPoolExecutor(count, mp_context=context, initializer=gc.freeze)
        # it begins with the first job, and whoever gives that waits for the import
        self._starting = threading.Thread(target=self._pool.submit, args=(os.getpid,))
        self._starting.start()

    def begin(self, shares: Sequence[Share], formats: Sequence[str], folder: Path) -> Drawings:
        """Begin to draw figures in ``formats`` into ``folder``, and in SVG for the report."""
        wanted = tuple(dict.fromkeys(("svg", *formats)))
        # the longest jobs first, so that none is left over at the end
        ordered = sorted(shares, key=lambda share: not share.kind.together)
        jobs = [
            Job(tuple(item.slug for item in items), kind, formats, self._pool.submit(draw, items, kind, wanted))
            for kind, items in ordered
        ]
        return Drawings(jobs, folder)

    def __enter__(self) -> Self:
        """Use the painters in a ``with`` statement."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes; what is not begun is dropped."""
        self._starting.join()
        self._pool.shutdown(cancel_futures=True)
