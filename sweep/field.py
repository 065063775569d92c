"""How a sweep reaches its devices: by plays over SSH, or as processes on this machine.

The driver plans, journals and reports; a *field* makes devices ready and runs the cells of one
condition on them.  :mod:`sweep.play_field` does so with Ansible, :mod:`sweep.direct` without.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from sweep.condition import ConditionOutcome, ConditionRecord


class ConditionRun(Protocol):
    """The cells of one condition, ready to be run."""

    def run(self, *, cancelled: Callable[[], bool]) -> ConditionOutcome:
        """Run them to the end, and say what is missing and why."""

    def stop_after_this_cell(self) -> None:
        """Let the running cell end, and run none of the others; another thread may call this."""


class Field(Protocol):
    """Devices, and how to run cells on them."""

    def clear_leftovers(self, folder: Path) -> None:
        """Remove what plays left in a campaign's folder, of a killed sweep or of this one when it is over."""

    def warnings(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """Give what the rows of a chain of `devices` are to warn of."""

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
        """Make `devices` ready; return those that cannot be used, with reasons.

        `shards` maps a model to its (manifest_id, inputs_id); `idle_s` is how long a stage is to bear
        that nobody speaks to it.  Once `stopping`, no further step is begun; once `cancelled`, the running one
        is ended too.
        """

    def condition(
        self, record: ConditionRecord, *, secret_file: Path, idle_s: float, ending: Sequence[str]
    ) -> ConditionRun:
        """Get one condition's cells ready to be run; `record` takes what they give.

        `ending` are the devices of it that nothing more is going to be run on.
        """

    def tidy_up(self, say: Callable[[str], None], leaving: Callable[[], bool]) -> dict[str, str]:
        """Leave nothing running on the devices; give those where something is left, with reasons.

        Once `leaving`, what is not done yet is left.
        """
