"""Which runs are called unstable, and why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stage_runtime.formats.row import StageFigures
from stage_runtime.stage.stability import judge

STEADY = [100.0, 101.0, 99.0, 100.5, 99.5, 100.0, 101.0, 99.0]
UNEVEN = [100.0, 160.0, 90.0, 150.0, 100.0, 170.0, 95.0, 150.0]
RISING = [100.0 + 3 * number for number in range(16)]


def stage(**changes: Any) -> StageFigures:
    values: dict[str, Any] = {
        "stage": 0,
        "device": "pi1",
        "first": 0,
        "last": 3,
        "accelerator": "cpu",
        "threads": 4,
        "load_ms": 1.0,
        "compute_ms": 50.0,
        "queue_ms": 0.1,
        "receive_ms": 0.1,
        "send_ms": 0.1,
        "cpu_percent": 300.0,
        "rss_mb": 100.0,
        "memory_percent": 10.0,
        "available_memory_mb": 900.0,
        "device_cpu_percent": 310.0,
        "governor": "performance",
        "stolen_percent": 0.3,
        "swapped_mb": 0.0,
        "waited_percent": 2.0,
        "sampler_percent": 0.1,
    }
    return StageFigures(**values | changes)


def test_a_quiet_run_is_stable() -> None:
    spread, autocorrelation, unstable = judge(STEADY, 1, [stage()])
    assert spread == pytest.approx(100 * (100.625 - 99.375) / 100)
    assert autocorrelation is not None
    assert -1 < autocorrelation < 0
    assert unstable == ()


@pytest.mark.parametrize(
    "harmless",
    [
        # an ondemand governor, a quota and neighbours do not disturb a run that is even
        {"governor": "ondemand"},
        {"threads": 1, "cpu_percent": 50.0, "device_cpu_percent": 50.3, "quota_throttled_percent": 40.0},
        {"throttled": ("undervoltage before the run",)},
        # a stage that hardly computes may wait longer than it runs
        {"cpu_percent": 1.0, "device_cpu_percent": 2.0, "waited_percent": 4.0},
        # others use cores that this stage leaves idle
        {"cpu_percent": 100.0, "device_cpu_percent": 200.0},
        {"stolen_percent": None, "swapped_mb": None, "waited_percent": None, "device_cpu_percent": None},
    ],
)
def test_what_leaves_a_run_even_is_no_disturbance(harmless: dict[str, Any]) -> None:
    assert judge(STEADY, 1, [stage(**harmless)], ["pi1"]).unstable == ()


@pytest.mark.parametrize(
    ("waited", "quota", "oversubscribed"),
    [(50.0, 0.5, False), (50.0, None, True), (96.0, 0.5, True), (20.0, None, False)],
)
def test_waiting_for_what_the_quota_refuses_anyway_is_no_disturbance(
    waited: float, quota: float | None, oversubscribed: bool
) -> None:
    found = stage(threads=1, cpu_percent=45.0, device_cpu_percent=46.0, waited_percent=waited, processors=quota)
    assert bool(judge(STEADY, 4, [found]).unstable) is oversubscribed


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize(
    ("disturbance", "words"),
    [
        ({"throttled": ("undervoltage", "throttled")}, "pi1 slowed itself down: undervoltage, throttled"),
        ({"stolen_percent": 12.0}, "pi1: its hypervisor withheld 12 % of the processor time"),
        ({"swapped_mb": 30.0}, "pi1 swapped 30 MiB"),
        ({"waited_percent": 60.0, "cpu_percent": 200.0}, "pi1 is oversubscribed"),
        ({"device_cpu_percent": 395.0}, "pi1 is oversubscribed"),
    ],
)
def test_a_disturbance_counts_however_even_the_run(window: int, disturbance: dict[str, Any], words: str) -> None:
    (reason,) = judge(STEADY, window, [stage(), stage(**disturbance)]).unstable
    assert words in reason


@pytest.mark.parametrize(
    ("stages", "sharing", "words"),
    [
        ([stage()], [], "(no cause seen)"),
        ([stage(governor="ondemand")], [], "(pi1 has the governor ondemand)"),
        ([stage(quota_throttled_percent=30.0)], [], "(pi1 was throttled by its quota for 30 % of the time)"),
        ([stage()], ["pi2"], "(pi2 shares its cores with other virtual devices)"),
    ],
)
def test_a_wide_spread_is_named_with_what_may_be_its_cause(
    stages: list[StageFigures], sharing: list[str], words: str
) -> None:
    spread, _, unstable = judge(UNEVEN, 1, stages, sharing)
    assert spread is not None
    assert unstable == (f"responses spread by {spread:.0f} % {words}",)


def test_responses_that_follow_each_other_drift() -> None:
    _, autocorrelation, unstable = judge(RISING, 1, [stage()])
    assert unstable == (f"responses drift (autocorrelation {autocorrelation:.2f})",)
    # by less than matters
    assert judge([1000 + each for each in RISING], 1, [stage()]).unstable == ()


def test_a_windows_own_unevenness_is_no_instability() -> None:
    assert judge(UNEVEN, 4, [stage()]).unstable == ()
    assert judge(RISING, 4, [stage()]).unstable == ()


def test_too_few_or_equal_batches_have_no_statistics() -> None:
    assert judge([1.0, 9.0, 1.0], 1, [stage()]) == (None, None, ())
    assert judge([5.0] * 8, 1, [stage()]) == (0.0, None, ())


def test_noise_without_memory_is_hardly_ever_called_drift() -> None:
    runs = np.random.default_rng(3).normal(100, 10, (2000, 16))
    drifting = sum(any("drift" in reason for reason in judge(list(run), 1, [stage()]).unstable) for run in runs)
    assert drifting <= 10


def test_autocorrelation_is_that_of_the_definition() -> None:
    values = np.random.default_rng(5).normal(100, 10, 30)
    away = values - values.mean()
    expected = float((away[1:] * away[:-1]).sum() / (away**2).sum())
    assert judge(list(values), 1, [stage()]).autocorrelation == pytest.approx(expected)
