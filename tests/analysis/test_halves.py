from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.halves import check_half, check_halves, expected_coverage
from analysis.words import halves_words
from tests.analysis.making import made_estimate


@pytest.mark.parametrize("half", [2, 3, 5])
def test_the_expected_coverage_is_that_of_a_simulation(half: int) -> None:
    rng = np.random.default_rng(half)
    found = check_halves(made_estimate(np.exp(rng.normal(0, 0.1, 2 * half)).tolist()) for _ in range(1500))
    assert found.in_time.share == pytest.approx(expected_coverage(half), abs=0.03)
    assert found.interleaved.share == pytest.approx(found.interleaved.expected_share, abs=0.03)
    assert found.in_time.checks == 3000


def test_a_trend_is_seen_by_halves_in_time_and_not_by_interleaved_ones() -> None:
    rng = np.random.default_rng(1)
    trend = np.linspace(0, 1, 8)
    found = check_halves(made_estimate(np.exp(trend + rng.normal(0, 0.1, 8)).tolist()) for _ in range(200))
    assert found.in_time.share < 0.5
    assert found.interleaved.share > 0.9


def test_halves_by_hand_leave_the_middle_of_an_odd_number_out() -> None:
    found = check_half(made_estimate([100, 101, 500, 100, 101]))
    assert (found.in_time.covered, found.in_time.checks) == (2, 2)
    apart = check_half(made_estimate([100, 100.01, 500, 200, 200.01]))
    assert (apart.in_time.covered, apart.in_time.checks) == (0, 2)


def test_fewer_than_four_repeats_are_not_checked_and_not_spoken_of() -> None:
    found = check_half(made_estimate([100, 101, 102]))
    assert found.figures == 0
    assert math.isnan(found.share)
    assert halves_words(found, found) is None


def test_the_words_give_share_and_expectation() -> None:
    some = check_half(made_estimate([100, 101, 100, 101]))
    none = check_half(made_estimate([100.0]))
    words = halves_words(some, none)
    assert words is not None
    assert words.startswith("One half's 95 % interval covers the other half's median: latency 100% (first")
    assert "of 2 intervals, 93% expected" in words
    assert "throughput" not in words
