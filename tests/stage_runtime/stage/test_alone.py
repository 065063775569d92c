"""The rounds in which each stage computes alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stage_runtime.stage.alone import Alone, shorten
from tests.stage_runtime.stage.chain import Chain

MS = 1_000_000


class Log:
    """Who computed what, in order, and how many did so at once at most."""

    def __init__(self, chain: Chain) -> None:
        self.calls: list[tuple[int, float]] = []
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()
        for number, device in enumerate(chain.devices):
            device.loader.after_forward = partial(self._note, number)

    def _note(self, number: int, tensor: torch.Tensor) -> torch.Tensor:
        with self._computing():
            self.calls.append((number, float(tensor.sum())))
            time.sleep(0.002)
        return tensor

    @contextmanager
    def _computing(self) -> Iterator[None]:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        yield
        with self._lock:
            self._now -= 1


ROUND = [0] * 6 + [1] * 6 + [2] * 6


@pytest.mark.parametrize("warmup", [1, 3])
def test_each_stage_in_turn_computes_its_last_input_alone(three: Chain, warmup: int) -> None:
    log = Log(three)
    assert three.run(warmup=warmup, batches=4).status == "ok"
    who = [number for number, _ in log.calls]
    assert who == [0, 1, 2] * warmup + ROUND + [0, 1, 2] * 4 + ROUND
    assert log.most == 1
    last = dict(log.calls[-len(ROUND) - 3 : -len(ROUND)])
    assert log.calls[-len(ROUND) :] == [(number, last[number]) for number in ROUND]


@pytest.mark.parametrize("warmup", [1, 3])
def test_a_chain_that_is_to_be_full_is_emptied_early_in_the_warmup(three: Chain, warmup: int) -> None:
    log = Log(three)
    measured = three.run(warmup=warmup, batches=8, window=4)
    assert len(measured.warmup_response_ms) == warmup + measured.discarded
    who = [number for number, _ in log.calls]
    assert who[: len(ROUND) + 3] == [0, 1, 2, *ROUND]
    assert who[-len(ROUND) :] == ROUND
    assert len(who) == 3 * (warmup + 8) + 2 * len(ROUND)


def test_without_a_warmup_there_is_one_round_at_the_end(three: Chain) -> None:
    log = Log(three)
    assert three.run(warmup=0, batches=4).status == "ok"
    assert [number for number, _ in log.calls] == [0, 1, 2] * 4 + ROUND


def test_a_stage_without_blocks_has_no_time_alone(three: Chain) -> None:
    measured = three.run((0, 2))
    assert [stage.alone_ms is None for stage in measured.stages] == [True, False, False]
    assert [stage.alone_cpu_ms is None for stage in measured.stages] == [True, False, False]


def test_stages_of_one_machine_say_which_cores_they_share(three: Chain) -> None:
    assert all(stage.cores for stage in three.run().stages)
    assert three.run(()).stages[0].cores == ()


@pytest.mark.parametrize("guilty", [0, 1, 2])
def test_a_stage_that_hangs_alone_is_named(three: Chain, guilty: int) -> None:
    calls, hang = 0, threading.Event()

    def wait(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 3:
            hang.wait(20)
        return tensor

    three.devices[guilty].loader.after_forward = wait
    measured = three.run(timeout_s=6.0)
    hang.set()
    assert (measured.status, measured.failed_device) == ("timeout", f"dev{guilty + 1}")
    assert "was still computing alone" in measured.reason


def test_the_first_of_several_batches_does_not_count() -> None:
    calls: list[torch.Tensor] = []
    computation: Any = calls.append
    alone = Alone(computation, threads=1)
    alone.measure(torch.zeros(1), [])
    assert (len(calls), len(alone.wall_ms), len(alone.cpu_ms)) == (6, 5, 5)
    alone.measure(torch.zeros(1), [])
    assert len(alone.wall_ms) == 10


def test_a_slow_stage_computes_one_batch_alone_which_counts() -> None:
    def slow(_: torch.Tensor) -> None:
        time.sleep(0.31)

    computation: Any = slow
    alone = Alone(computation, threads=1)
    alone.measure(torch.zeros(1), [])
    assert len(alone.wall_ms) == 1
    assert alone.cpu_ms[0] < alone.wall_ms[0] / 2  # it slept


def test_a_stage_rests_as_it_did_in_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    monkeypatch.setattr("stage_runtime.stage.alone.time.sleep", rests.append)
    computation: Any = lambda _: None  # noqa: E731 - a def would have a type of its own
    Alone(computation, threads=1, quota_period_s=0.01).measure(torch.zeros(1), [3 * MS, 0, 47 * MS])
    assert rests == pytest.approx([0.003, 0.017, 0.003, 0.017])


@given(rest=st.integers(0, 10**12), period=st.integers(1, 10**9))
def test_a_rest_is_shortened_by_whole_periods_to_less_than_two(rest: int, period: int) -> None:
    found = shorten(rest, period)
    assert found <= rest
    assert (rest - found) % period == 0
    assert found == rest if rest < period else period <= found < 2 * period
