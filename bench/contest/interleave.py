"""In which order our cells and the baseline's jobs come, as data."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from stage_runtime.formats.cell import Cell


class Job(NamedTuple):
    """One run of the baseline, at the cut of `cell` and on its devices, blocks, images and link."""

    cell: Cell
    one_in_flight: bool

    @property
    def key(self) -> tuple[str, str, str, int, bool, int]:
        """What occurs once among the baseline's good rows."""
        cell = self.cell
        return (cell.model, cell.network, cell.split, cell.batch, self.one_in_flight, cell.repeat)


class Step(NamedTuple):
    """Some of our cells, and the jobs that follow them."""

    cells: tuple[Cell, ...]
    jobs: tuple[Job, ...]


def interleave(cells: Sequence[Cell]) -> list[Step]:
    """Spread a job with one batch in flight and one without, for each cut of a model, over that model's cells.

    `cells` are one condition's, repeat by repeat and model by model; their order stays.  So what is compared lies
    within minutes, whatever the machine's speed does meanwhile.  The order of the jobs is shuffled, another one in
    each repeat, but the same each time this is called.
    """
    steps: list[Step] = []
    for (repeat, model), group in groupby(cells, key=lambda cell: (cell.repeat, cell.model)):
        own = list(group)
        jobs = [Job(cell, one) for cell in _cuts(own) for one in (True, False)]
        random.Random(f"{repeat}/{model}").shuffle(jobs)  # noqa: S311 - an order, not a secret
        steps += _spread(own, jobs)
    return steps


def _cuts(cells: Sequence[Cell]) -> Iterator[Cell]:
    """Give one cell for every cut that crosses a link."""
    yield from {cell.cut: cell for cell in sorted(cells, key=lambda cell: cell.cut) if cell.cut}.values()


def _spread(cells: Sequence[Cell], jobs: Sequence[Job]) -> Iterator[Step]:
    if not jobs:
        yield Step(tuple(cells), ())
        return
    for place, job in enumerate(jobs):
        begin, end = (len(cells) * edge // len(jobs) for edge in (place, place + 1))
        yield Step(tuple(cells[begin:end]), (job,))
