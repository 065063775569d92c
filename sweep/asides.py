"""Conditions that are put aside: what is left of them, and what is said of those that are not tried again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import msgspec

from sweep.matrix import ConditionPlan
from sweep.settling import Settling


class Aside(msgspec.Struct, kw_only=True):
    """A condition still to be run: how often in vain, and what kept it from running the last time.

    `due` are the (cell_id, repeat) that failed the last time and are to be run once more, `again` all that ever were.
    """

    plan: ConditionPlan
    fruitless: int = 0
    tried: bool = False
    reasons: dict[str, str] = {}
    suspects: dict[str, str] = {}
    due: tuple[tuple[str, int], ...] = ()
    again: tuple[tuple[str, int], ...] = ()


class Asides:
    """Keeps what a sweep puts aside; `lock` guards the settling, and `say` shows a line."""

    def __init__(self, settling: Settling, lock: threading.Lock, say: Callable[[str], None]) -> None:
        self.not_run: list[str] = []
        self._settling = settling
        self._lock = lock
        self._say = say

    def take_up(self, one: Aside) -> ConditionPlan:
        """Give what is left of a condition: what was not run, then what failed and is due once more."""
        with self._lock:
            one.again = tuple(dict.fromkeys((*one.again, *one.due)))
            self._settling.want_again(one.due)
            wanted = [run for run in one.plan.runs if self._settling.wants(*run.key)]
        # Last, so that cells that always fail do not keep the others from being run.
        last = frozenset(one.again)
        runs = tuple(sorted(wanted, key=lambda run: run.key in last or self._settling.was_lost(*run.key)))
        return ConditionPlan(chain=one.plan.chain, devices=one.plan.devices, network=one.plan.network, runs=runs)

    def put_aside(self, one: Aside) -> None:
        """Say that a condition is tried again later."""
        why = _told(one.reasons or one.suspects)
        self._say(f"PUT ASIDE until all else is done: {title_of(one.plan)}: {why}")

    def finished(self, one: Aside) -> None:
        """Note of a condition that is not tried again what it lacks, and why."""
        with self._lock:
            self._settling.want_no_more(one.again)
            lacking = {run.cell.cell_id for run in one.plan.runs if self._settling.wants(*run.key)}
        if lacking:
            why = _told(one.reasons) or "the sweep was stopped"
            self.not_run.append(f"{len(lacking)} cells of {title_of(one.plan)}: {why}")
        elif one.reasons:
            self._say(f"WARNING after the last cell of {title_of(one.plan)}: {_told(one.reasons)}")


def title_of(plan: ConditionPlan) -> str:
    """Name a condition: its chain, the chain's devices, and the network."""
    return f"{plan.chain} ({' → '.join(plan.devices)}) under {plan.network}"


def _told(reasons: Mapping[str, str]) -> str:
    return "; ".join(f"{device}: {reason}" for device, reason in reasons.items())
