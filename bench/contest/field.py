"""A sweep's field that runs the baseline between cells, on the same devices under the same links."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from bench.contest.interleave import Job, interleave
from stage_runtime.formats.cell import Cell
from stage_runtime.formats.row import Measurement
from sweep.condition import ConditionRecord
from sweep.field import ConditionRun, Field
from sweep.interrupt import Control

# A stage must bear that nobody speaks to it while the baseline runs.
_LEAST_IDLE_S = 1800.0


class Between(Protocol):
    """What is to be done between cells."""

    def run(self, jobs: Sequence[Job], stopping: Callable[[], bool]) -> None:
        """Do the jobs."""


class ContestField:
    """A field whose conditions run jobs between their cells; all else is `field`'s own.

    `between` makes what runs them from the campaign's folder, once per condition.
    """

    def __init__(self, field: Field, control: Control, between: Callable[[Path], Between]) -> None:
        self._field = field
        self._control = control
        self._between = between

    def clear_leftovers(self, folder: Path) -> None:
        """Remove what a killed sweep left."""
        self._field.clear_leftovers(folder)

    def warnings(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """Say what rows are to warn of."""
        return self._field.warnings(devices)

    def make_ready(
        self,
        devices: tuple[str, ...],
        *,
        shards: Mapping[str, tuple[str, str]],
        idle_s: float,
        folder: Path,
        say: Callable[[str], None],
        stopping: Callable[[], bool],
        cancelled: Callable[[], bool],
    ) -> dict[str, str]:
        """Make devices ready; see the interface."""
        return self._field.make_ready(
            devices,
            shards=shards,
            idle_s=max(idle_s, _LEAST_IDLE_S),
            folder=folder,
            say=say,
            stopping=stopping,
            cancelled=cancelled,
        )

    def tidy_up(self, say: Callable[[str], None], leaving: Callable[[], bool]) -> dict[str, str]:
        """Leave nothing running; see the interface."""
        return self._field.tidy_up(say, leaving)

    def condition(
        self, record: ConditionRecord, *, secret_file: Path, idle_s: float, ending: Sequence[str]
    ) -> ConditionRun:
        """Get a condition's cells ready to be run, with jobs between them."""
        mixed = InterleavedRecord(record, self._between(record.campaign.folder), self._control.stopping)
        return self._field.condition(
            # it stands in for the record, whose every other part it hands on
            cast("ConditionRecord", mixed),
            secret_file=secret_file,
            idle_s=max(idle_s, _LEAST_IDLE_S),
            ending=ending,
        )


class InterleavedRecord:
    """A condition's record whose blocks are smaller, and which runs jobs before it hands out the next.

    A field asks for each block once everything of the one before has been measured, with the stages idle and the links
    as they are.  An empty block at the end lets the jobs of the last one be run while the links still stand.
    """

    def __init__(self, record: ConditionRecord, between: Between, stopping: Callable[[], bool]) -> None:
        self._record = record
        self._between = between
        self._stopping = stopping
        self._steps = interleave(record.cells)
        self._handed = 0
        self._due: list[Job] = []
        self._links_stand = False
        self.blocks = (*(step.cells for step in self._steps), ())

    def __getattr__(self, name: str) -> Any:
        """Give the record's own attributes and methods."""
        return getattr(self._record, name)

    def wanted(self, block: Sequence[Cell]) -> list[Cell]:
        """Run the jobs of the steps before, once there are links; then give the block's cells still to be run."""
        if self._handed:
            self._due += self._steps[self._handed - 1].jobs
        self._handed += 1
        if self._links_stand:
            self._between.run(self._due, self._stopping)
            self._due = []
        return self._record.wanted(block)

    def take_measurement(self, cell: Cell, measurement: Measurement, *, refused: bool = False) -> bool:
        """Take a measurement, which also says that stages run and links are shaped."""
        self._links_stand = True
        return self._record.take_measurement(cell, measurement, refused=refused)
