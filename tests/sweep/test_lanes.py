"""A lane's conditions: in order, put aside with a device that was lost, tried again when all else is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import pytest

from sweep import lanes
from sweep.asides import Aside
from sweep.condition import ConditionOutcome
from sweep.interrupt import Control
from sweep.lanes import Lane
from sweep.matrix import ConditionPlan

CELLS = 4
DEVICES = {"near": ("a", "b"), "far": ("a", "c"), "other": ("d",)}


def plans(*names: str) -> list[ConditionPlan]:
    """Make plans of `chain/network`."""
    parts = [name.split("/") for name in names]
    return [ConditionPlan(chain=chain, devices=DEVICES[chain], network=network, runs=()) for chain, network in parts]


def name_of(plan: ConditionPlan) -> str:
    return f"{plan.chain}/{plan.network}"


WELL = ConditionOutcome(rows=CELLS, not_run=0, reasons={}, ok=CELLS)


def lost(device: str, ok: int = 1) -> ConditionOutcome:
    return ConditionOutcome(rows=ok, not_run=CELLS - ok, reasons={device: "gone"}, ok=ok)


class Work:
    """Notes what a lane asks for; conditions end as `outcomes` say, in turn, and well once these are used up."""

    def __init__(self, outcomes: Mapping[str, Sequence[ConditionOutcome]] | None = None) -> None:
        self.outcomes = {name: list(found) for name, found in (outcomes or {}).items()}
        self.unready: list[Mapping[str, str]] = []
        self.ran: list[str] = []
        self.endings: list[tuple[str, ...]] = []
        self.readied: list[tuple[str, ...]] = []
        self.ended: dict[str, dict[str, str]] = {}
        self.set_aside: list[str] = []
        self.on_run: Callable[[str], None] = lambda _name: None

    def run_condition(self, plan: ConditionPlan, ending: Sequence[str]) -> ConditionOutcome:
        self.ran.append(name_of(plan))
        self.endings.append(tuple(ending))
        self.on_run(name_of(plan))
        left = self.outcomes.get(name_of(plan), [])
        return left.pop(0) if left else WELL

    def make_ready(self, devices: tuple[str, ...]) -> Mapping[str, str]:
        self.readied.append(devices)
        return self.unready.pop(0) if self.unready else {}

    def take_up(self, one: Aside) -> ConditionPlan:
        one.again = (*one.again, *one.due)
        return one.plan

    def put_aside(self, one: Aside) -> None:
        self.set_aside.append(name_of(one.plan))

    def finished(self, one: Aside) -> None:
        assert name_of(one.plan) not in self.ended
        self.ended[name_of(one.plan)] = one.reasons


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_PAUSE_S", 0.01)


def run(
    work: Work,
    *names: str,
    parked: Mapping[str, str] | None = None,
    patience_s: float = 0.0,
    control: Control | None = None,
) -> Work:
    Lane(plans(*names), parked or {}, work=work, asides=work, control=control or Control(), patience_s=patience_s).run()
    return work


def test_conditions_run_in_order_and_the_last_of_each_device_ends_its_stage() -> None:
    work = run(Work(), "near/lan", "near/wifi", "far/lan")
    assert work.ran == ["near/lan", "near/wifi", "far/lan"]
    assert work.endings == [(), ("b",), ("a", "c")]
    assert work.ended == {name: {} for name in work.ran}
    assert work.readied == []


def test_a_lost_device_parks_its_chain_and_is_tried_again_once_all_else_is_done() -> None:
    work = run(Work({"near/lan": [lost("b")]}), "near/lan", "near/wifi", "far/lan", "far/wifi")
    assert work.ran == ["near/lan", "far/lan", "far/wifi", "near/wifi", "near/lan"], "the untried one first"
    assert work.set_aside == ["near/lan"]
    assert work.readied == [("b",)]
    assert work.ended == {name: {} for name in work.ran}


def test_a_device_that_does_not_come_back_costs_its_own_conditions_alone() -> None:
    work = Work({"near/lan": [lost("b")]})
    work.unready = [{"b": "unreachable: no route"}] * 1000
    run(work, "near/lan", "near/wifi", "far/lan", patience_s=0.1)
    assert work.ran == ["near/lan", "far/lan"]
    assert work.ended == {"far/lan": {}, "near/lan": {"b": "gone"}, "near/wifi": {"b": "gone"}}
    assert len(work.readied) > 2, "it was tried again and again"


def test_patience_begins_anew_with_each_thing_that_was_achieved() -> None:
    work = Work({"near/lan": [lost("b"), lost("b"), lost("b"), lost("b")]})
    run(work, "near/lan")
    assert work.ran == ["near/lan"] * 5, "each try brought a row"
    assert work.ended == {"near/lan": {}}


def test_a_condition_that_is_tried_in_vain_is_given_up() -> None:
    in_vain = ConditionOutcome(rows=1, not_run=CELLS - 1, reasons={"b": "gone"}, ok=0)
    work = run(Work({"near/lan": [in_vain] * 9}), "near/lan", "far/lan", patience_s=5)
    assert work.ran.count("near/lan") == 3
    assert work.ended == {"far/lan": {}, "near/lan": {"b": "gone"}}


def test_a_condition_without_any_row_is_tried_for_as_long_as_patience_lasts() -> None:
    work = run(Work({"near/lan": [lost("b", ok=0)] * 9}), "near/lan", "far/lan", patience_s=5)
    assert work.ran.count("near/lan") == 10
    assert work.ended == {"far/lan": {}, "near/lan": {}}
    given_up = run(Work({"near/lan": [lost("b", ok=0)] * 10_000}), "near/lan", patience_s=0.2)
    assert given_up.ended == {"near/lan": {"b": "gone"}}


def test_a_device_that_was_never_ready_is_tried_again_if_it_is_worth_waiting() -> None:
    work = Work()
    work.unready = [{"b": "still unreachable"}]
    run(work, "near/lan", parked={"b": "unreachable"}, patience_s=5)
    assert work.readied == [("b",), ("b",)]
    assert work.ran == ["near/lan"]
    assert run(Work(), "near/lan", parked={"b": "unreachable"}).ended == {"near/lan": {"b": "unreachable"}}
    after_others = run(Work(), "near/lan", "far/lan", parked={"b": "unreachable"})
    assert after_others.ran == ["far/lan", "near/lan"], "meanwhile it may have come"


def test_devices_that_no_condition_of_the_lane_needs_are_left_alone() -> None:
    work = run(Work(), "far/lan", "near/lan", parked={"b": "unreachable", "d": "unreachable"})
    assert work.readied == [("b",)]


def test_what_failed_on_a_device_is_run_once_more_after_the_device_was_made_ready() -> None:
    failed = ConditionOutcome(rows=4, not_run=0, reasons={}, ok=3, failed=(("cell", 0),), suspects={"b": "altered"})
    work = run(Work({"near/lan": [failed, failed, failed]}), "near/lan", "near/wifi")
    assert work.ran == ["near/lan", "near/wifi", "near/lan"], "the device is not lost, and one more try is enough"
    assert work.readied == [("b",)]
    assert work.endings == [(), ("a", "b"), ("a", "b")]


def test_what_failed_twice_is_run_no_more_while_the_rest_goes_on() -> None:
    failed = ConditionOutcome(rows=3, not_run=2, reasons={"b": "gone"}, ok=1, failed=(("cell", 0),))
    done = ConditionOutcome(rows=3, not_run=0, reasons={"b": "gone"}, ok=1, failed=(("cell", 0),))
    work = run(Work({"near/lan": [failed, failed, done]}), "near/lan")
    assert work.ran == ["near/lan"] * 3
    assert work.ended == {"near/lan": {"b": "gone"}}


def test_what_a_play_says_after_its_last_cell_is_no_reason_for_another_try() -> None:
    only_afterwards = ConditionOutcome(rows=4, not_run=0, reasons={"b": "cannot clear"}, ok=4)
    assert run(Work({"near/lan": [only_afterwards]}), "near/lan").ran == ["near/lan"]


def test_a_play_that_could_not_be_run_loses_no_device() -> None:
    work = run(Work({"near/lan": [lost("control node", ok=0)]}), "near/lan", "far/lan")
    assert work.ran == ["near/lan", "far/lan", "near/lan"]
    assert work.readied == []


def test_a_stopped_sweep_begins_nothing_more_and_tells_of_each_condition() -> None:
    control, work = Control(), Work({"near/lan": [lost("b")]})
    work.on_run = lambda name: control.interrupt() if name == "far/lan" else None
    run(work, "near/lan", "near/wifi", "far/lan", "far/wifi", control=control)
    assert work.ran == ["near/lan", "far/lan"]
    assert set(work.ended) == {"near/lan", "near/wifi", "far/lan", "far/wifi"}


def test_waiting_ends_with_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_PAUSE_S", 600.0)
    control, work = Control(), Work()
    work.unready = [{"b": "gone"}] * 9
    lane = Lane(plans("near/lan"), {"b": "gone"}, work=work, asides=work, control=control, patience_s=3600)
    began = time.monotonic()
    monkeypatch.setattr(control, "wait", lambda _seconds: control.interrupt())
    lane.run()
    assert time.monotonic() - began < 60
    assert work.ended == {"near/lan": {"b": "gone"}}
