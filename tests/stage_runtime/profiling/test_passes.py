"""Which passes are run in which order, and how their times add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from torch import nn

from stage_runtime.profiling import passes
from stage_runtime.profiling.passes import HostClock, marked_pass, plan_round, rounds, whole_pass


class CountingClock:
    """A clock whose every mark is a millisecond later."""

    def __init__(self) -> None:
        self.marks = 0

    def mark(self) -> int:
        self.marks += 1
        return self.marks

    def spans_ms(self, marks: Sequence[int]) -> tuple[float, ...]:
        return tuple(float(after - before) for before, after in pairwise(marks))


@pytest.mark.parametrize("batches", [1, 2, 3])
def test_each_round_runs_every_batch_size_once_with_marks_and_once_without(batches: int) -> None:
    everything = [(batch, marked) for batch in range(batches) for marked in (False, True)]
    for number in range(6):
        assert sorted(plan_round(number, batches)) == everything


@pytest.mark.parametrize("batches", [1, 2, 3])
def test_each_batch_size_begins_as_often_and_so_does_each_kind_of_its_passes(batches: int) -> None:
    turns = [plan_round(number, batches) for number in range(2 * batches)]
    assert Counter(turn[0] for turn in turns) == {(size, kind): 1 for size in range(batches) for kind in (True, False)}
    for size in range(batches):
        kinds = Counter(next(one.marked for one in turn if one.batch == size) for turn in turns)
        assert kinds == {True: batches, False: batches}


def test_warm_up_comes_first_and_is_not_kept() -> None:
    assert list(rounds(passes=3, warmup=2, most_s=0)) == [(0, False), (1, False), (2, True), (3, True), (4, True)]


def test_once_the_time_is_over_three_passes_do(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 10_000, 100))
    monkeypatch.setattr(passes.time, "monotonic", lambda: next(now))
    assert [kept for _, kept in rounds(passes=10, warmup=1, most_s=50)] == [False, True, True, True]
    assert len(list(rounds(passes=2, warmup=1, most_s=50))) == 3
    assert len(list(rounds(passes=10, warmup=1, most_s=0))) == 11


def test_a_marked_pass_has_a_time_for_each_block_and_a_whole_one_two_marks() -> None:
    steps = nn.Sequential(nn.Identity(), nn.ReLU(), nn.Flatten())
    clock = CountingClock()
    assert marked_pass(steps, torch.ones(1, 2), clock) == (1.0, 1.0, 1.0)
    assert clock.marks == 4
    assert whole_pass(steps, torch.ones(1, 2), clock) == 1.0
    assert clock.marks == 6


def test_the_host_clock_gives_milliseconds() -> None:
    assert HostClock().spans_ms((0, 1_500_000, 1_500_001)) == (1.5, 1e-6)


def test_a_pass_computes_in_inference_mode() -> None:
    seen = []
    steps = nn.Sequential(nn.Identity())
    steps[0].register_forward_hook(lambda *_: seen.append(torch.is_inference_mode_enabled()))
    marked_pass(steps, torch.ones(1), CountingClock())
    whole_pass(steps, torch.ones(1), CountingClock())
    assert seen == [True, True]
