"""The conditions of one lane, one after the other; those that lack something are put aside and tried again.

A lane is a list of conditions of which no two can run at the same time (:mod:`sweep.schedule`).  A device is lost
when it could not be made ready, or kept a condition's cells from being run.  All conditions without it come first;
then it is made ready anew and, if that succeeds, the conditions that wait for it are gone on with.  A run that failed
on a device is run once more in the same way.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from sweep.asides import Aside
from sweep.condition import ConditionOutcome
from sweep.interrupt import Control
from sweep.matrix import ConditionPlan

# Between two tries of which the first brought nothing.
_PAUSE_S = 10.0
# Tries in a row that may end without a row that is ok.
_MOST_FRUITLESS = 3


class LaneWork(Protocol):
    """What a lane has done for it; the lanes of a sweep call this from threads of their own."""

    def run_condition(self, plan: ConditionPlan, ending: Sequence[str]) -> ConditionOutcome:
        """Run a condition once; `ending` are its devices that no later condition of the lane is going to use."""

    def make_ready(self, devices: tuple[str, ...]) -> Mapping[str, str]:
        """Make devices ready, and give those that cannot be, with reasons."""


class Book(Protocol):
    """Where a lane notes what becomes of its conditions: :class:`sweep.asides.Asides`."""

    def take_up(self, one: Aside) -> ConditionPlan:
        """Give what is left to run of a condition that was put aside."""

    def put_aside(self, one: Aside) -> None:
        """Say that a condition is tried again later."""

    def finished(self, one: Aside) -> None:
        """Take note of a condition that is not tried again: of what it lacks, and why."""


class Lane:
    """Run `plans` in order; those that need a device of `parked`, or lose one, once all else is done.

    When that is, what was lost is tried at once, and again after a pause until nothing has come of it for
    `patience_s` seconds, or one condition has been tried several times in vain.
    """

    def __init__(
        self,
        plans: Sequence[ConditionPlan],
        parked: Mapping[str, str],
        *,
        work: LaneWork,
        asides: Book,
        control: Control,
        patience_s: float,
    ) -> None:
        self._todo = [Aside(plan=plan) for plan in plans]
        self._lost = dict(parked)
        self._work = work
        self._asides = asides
        self._control = control
        self._patience_s = patience_s
        self._aside: list[Aside] = []
        self._worth_trying = False

    def run(self) -> None:
        """Do it all, or as much as the sweep's being stopped leaves time for."""
        self._go_through(self._todo)
        until = time.monotonic() + self._patience_s
        while self._aside and not self._control.stopping():
            if self._worth_trying:
                until = time.monotonic() + self._patience_s
            elif time.monotonic() + _PAUSE_S > until or not self._control.wait(_PAUSE_S):
                break
            self._worth_trying = False
            self._call_back()
        for one in self._aside:
            self._asides.finished(one)

    def _go_through(self, todo: Sequence[Aside]) -> None:
        for place, one in enumerate(todo):
            lost = [device for device in one.plan.devices if device in self._lost]
            if self._control.stopping():
                self._asides.finished(one)
            elif lost:
                one.reasons = one.reasons or {lost[0]: self._lost[lost[0]]}
                self._aside.append(one)
            else:
                self._try(one, {device for later in todo[place + 1 :] for device in later.plan.devices})

    def _try(self, one: Aside, needed_later: set[str]) -> None:
        ending = [device for device in one.plan.devices if device not in needed_later]
        outcome = self._work.run_condition(one.plan, ending)
        self._worth_trying |= outcome.ok > 0 or not one.tried
        one.tried = True
        # A try without any row says nothing of the cells, only of the device: patience_s bounds those.
        one.fruitless = 0 if outcome.ok else one.fruitless + bool(outcome.rows)
        one.reasons, one.suspects = outcome.reasons, outcome.suspects
        one.due = tuple(key for key in outcome.failed if key not in one.again)
        lacks = one.due or (outcome.reasons and outcome.not_run)
        if not lacks or self._control.stopping() or one.fruitless >= _MOST_FRUITLESS:
            self._asides.finished(one)
            return
        self._lost |= {device: reason for device, reason in outcome.reasons.items() if device in one.plan.devices}
        self._aside.append(one)
        self._asides.put_aside(one)

    def _call_back(self) -> None:
        """Make the lost devices ready, and go on with the conditions that wait for no other, untried ones first."""
        waiting, self._aside = sorted(self._aside, key=lambda one: one.tried), []
        needed = {device for one in waiting for device in one.plan.devices}
        suspects = {device: reason for one in waiting for device, reason in one.suspects.items()}
        lost = tuple(device for device in self._lost | suspects if device in needed)
        self._lost = dict(self._work.make_ready(lost)) if lost else {}
        for one in waiting:
            if not any(device in self._lost for device in one.plan.devices):
                one.plan = self._asides.take_up(one)
        self._go_through(waiting)
