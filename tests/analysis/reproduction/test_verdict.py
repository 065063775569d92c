from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.reproduction.verdict import (
    FAILS,
    HOLDS,
    OPEN,
    Claim,
    Span,
    Verdict,
    judge,
    sign_test,
    span,
    sweep_command,
)

CLAIM = Claim(key="k", title="t", published="p", rule="r")


@pytest.mark.parametrize(
    ("low", "value", "high", "verdict"),
    [
        (0.2, 0.3, 0.4, HOLDS),
        (0.01, 0.1, 0.2, HOLDS),
        (0.01, 0.05, 0.2, OPEN),  # sure, but perhaps too small to matter
        (0.01, 0.05, 0.09, FAILS),  # sure, and too small to matter
        (-0.1, 0.2, 0.5, OPEN),
        (-0.1, 0.0, 0.09, FAILS),
        (-0.5, -0.3, -0.1, FAILS),
        (0.0, 0.2, 0.4, OPEN),
        (math.nan, 0.2, math.nan, OPEN),
    ],
)
def test_an_effect_is_judged_by_its_interval_and_the_least_that_matters(
    low: float, value: float, high: float, verdict: Verdict
) -> None:
    assert judge(Span(value=value, low=low, high=high), 0.1) == verdict


def test_a_span_is_the_mean_and_the_middle_95_percent() -> None:
    found = span(np.arange(1001, dtype=np.float64))
    assert (found.value, found.low, found.high) == pytest.approx((500.0, 25.0, 975.0))


@pytest.mark.parametrize(
    ("effects", "expected"),
    [([1.0] * 6, (6, 6, 1 / 64)), ([1.0, -1.0], (1, 2, 0.75)), ([0.0, 1.0], (1, 1, 0.5)), ([], (0, 0, 1.0))],
)
def test_the_sign_test_leaves_zeros_out(effects: list[float], expected: tuple[int, int, float]) -> None:
    assert sign_test(effects) == expected


def test_only_an_open_verdict_names_a_remedy() -> None:
    assert CLAIM.found(OPEN, "s", (), [], remedy="do this").command == "do this"
    assert CLAIM.found(HOLDS, "s", (), [], remedy="do this").command == ""
    assert CLAIM.wanting("runs", "do that").verdict == OPEN


def test_a_sweep_leaves_out_options_without_values() -> None:
    assert sweep_command({"model": ("a", "b"), "chains": ()}) == "ansible-playbook sweep.yml -e model=a,b"
