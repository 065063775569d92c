"""What is varied, what stays, and which cells of a sweep that takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from bench.testbed import NETWORKS as CONDITIONS
from stage_runtime.formats.cell import EngineName
from stage_runtime.formats.row import Row
from sweep.errors import OptionError
from sweep.matrix import Keep, PlannedCell
from sweep.options import Options, parse_options
from sweep.splits import split_label

BATCHES = (1, 2, 4, 8, 16, 32)
WINDOWS = tuple(range(1, 9))
STAGES = (1, 2, 3, 4)
ENGINES: tuple[EngineName, ...] = ("eager", "best")
NEAR, FAR = "lan", "mbit100_20ms"
NETWORKS: Mapping[str, Mapping[str, Any]] = {NEAR: CONDITIONS[NEAR], FAR: {"rate_mbit": 100, "delay_ms": 20}}

_BATCH = 8
_THROUGHPUT_WINDOW = 3
# A window is to fill the longest chain.
_STAGES_WINDOW = max(STAGES) + 1

# The cuts by number of stages: the slowest stage is as fast as can be, by the blocks' own times in plain PyTorch at
# batch 8; where several cuts make it so, one that evens the other stages out.
CUTS: Mapping[str, Mapping[int, tuple[int, ...]]] = {
    "mobilenet_v2": {1: (), 2: (3,), 3: (3, 5), 4: (2, 3, 5)},
    "resnet18": {1: (), 2: (3,), 3: (1, 5), 4: (1, 3, 6)},
    "alexnet": {1: (), 2: (8,), 3: (6, 11), 4: (4, 7, 11)},
}

Axis = Literal["batch", "window", "stages"]


def stages_of(row: Row | PlannedCell) -> int:
    """Say how many stages compute."""
    return len(row.cut) + 1


class Series(NamedTuple):
    """One thing that grows along ``axis``; a line for each value of ``lines``, told by ``line_of``.

    ``throughput_window`` gives the window of the runs whose throughput counts at a place of the axis,
    ``latency_window`` that of those whose latency does.
    """

    axis: Axis
    title: str
    of: str
    lines: tuple[str, ...]
    line_of: Callable[[Row], str]
    place_of: Callable[[Row], int]
    throughput_window: Callable[[int], int]
    latency_window: Callable[[int], int]
    wants: Callable[[Row | PlannedCell], bool]


def chain_name(stages: int) -> str:
    """Name the chain of so many devices."""
    return f"stages_{stages}"


def _is_usual(cell: Row | PlannedCell) -> bool:
    return cell.transport == "tcp" and cell.codec == "none"


def _wants_batch(cell: Row | PlannedCell) -> bool:
    return (
        _is_usual(cell)
        and (cell.network, stages_of(cell), len(cell.devices)) == (NEAR, 2, 2)
        and cell.engine in ENGINES
        and cell.batch in BATCHES
        and cell.window in {1, _THROUGHPUT_WINDOW}
    )


def _wants_window(cell: Row | PlannedCell) -> bool:
    return (
        _is_usual(cell)
        and cell.network in NETWORKS
        and (stages_of(cell), len(cell.devices)) == (2, 2)
        and (cell.engine, cell.batch) == ("eager", _BATCH)
        and cell.window in WINDOWS
    )


def _wants_stages(cell: Row | PlannedCell) -> bool:
    return (
        _is_usual(cell)
        and cell.network == NEAR
        and stages_of(cell) == len(cell.devices)
        and cell.engine in ENGINES
        and cell.batch == _BATCH
        and cell.window in {1, _STAGES_WINDOW}
    )


SERIES = (
    Series(
        axis="batch",
        title="Batch size",
        of="images per batch",
        lines=ENGINES,
        line_of=lambda row: row.engine,
        place_of=lambda row: row.batch,
        throughput_window=lambda _batch: _THROUGHPUT_WINDOW,
        latency_window=lambda _batch: 1,
        wants=_wants_batch,
    ),
    Series(
        axis="window",
        title="Batches in flight",
        of="window",
        lines=(NEAR, FAR),
        line_of=lambda row: row.network,
        place_of=lambda row: row.window,
        throughput_window=lambda window: window,
        latency_window=lambda window: window,
        wants=_wants_window,
    ),
    Series(
        axis="stages",
        title="Stages",
        of="stages",
        lines=ENGINES,
        line_of=lambda row: row.engine,
        place_of=stages_of,
        throughput_window=lambda _stages: _STAGES_WINDOW,
        latency_window=lambda _stages: 1,
        wants=_wants_stages,
    ),
)


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured; ``axes`` names the series."""

    model: str
    axes: tuple[Axis, ...]
    repeats: int
    cell_s: float
    results: str
    fresh: bool

    @property
    def series(self) -> tuple[Series, ...]:
        """The series asked for."""
        return tuple(series for series in SERIES if series.axis in self.axes)

    @property
    def chains(self) -> dict[str, tuple[str, ...]]:
        """The chains by name: d1, then d1 and d2, and so on."""
        return {chain_name(count): tuple(f"d{place + 1}" for place in range(count)) for count in STAGES}

    def options(self) -> Options:
        """Give the options of the sweep whose matrix holds every wanted cell, and others; raises OptionError."""
        cuts = CUTS.get(self.model)
        if cuts is None:
            raise OptionError(f"no cuts are known for `{self.model}`; known: {', '.join(CUTS)}")
        return parse_options(
            {
                "model": self.model,
                "splits": [split_label(cut) for cut in cuts.values() if cut],
                "chains": list(self.chains),
                "networks": list(NETWORKS),
                "transports": "tcp",
                "engine": list(ENGINES),
                "codec": "none",
                "batch": list(BATCHES),
                "window": list(WINDOWS),
                "batches": 16,
                "warmup": 2,
                "repeats": self.repeats,
                "most_repeats": self.repeats,
                "cell_s": self.cell_s,
                "results": self.results,
                "fresh": self.fresh,
                "report": False,
            }
        )

    def keep(self) -> Keep:
        """Give the rule that picks the series' cells from the matrix."""

        def wanted(cell: PlannedCell) -> bool:
            own = cell.cut == CUTS[cell.model][stages_of(cell)] and (cell.cut or len(cell.devices) == 1)
            return bool(own) and any(series.wants(cell) for series in self.series)

        return wanted


def parse_axes(words: str) -> tuple[Axis, ...]:
    """Read which series are wanted; raises OptionError for one that there is not."""
    known: Sequence[Axis] = tuple(series.axis for series in SERIES)
    found: list[Axis] = []
    for word in filter(None, words.split(",")):
        axis = next((axis for axis in known if axis == word.strip()), None)
        if axis is None:
            raise OptionError(f"unknown series `{word}`; known: {', '.join(known)}")
        found.append(axis)
    return tuple(found)
