from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.coverage import simulate
from analysis.intervals import draw_replicates, interval, relative_half_width

RUNS = st.lists(st.lists(st.floats(0.01, 1e4), min_size=1, max_size=6), min_size=2, max_size=10)


def test_the_value_is_the_median_of_the_runs_medians() -> None:
    found = interval([[1, 2, 30], [4, 5, 6], [7, 8, 9]])
    assert (found.value, found.basis) == (5, "repeats")


@given(RUNS)
def test_an_interval_holds_its_value_whatever_the_runs(runs: list[list[float]]) -> None:
    found = interval(runs)
    assert 0 <= found.low <= found.value <= found.high


def test_repeats_give_students_t_on_the_logarithms_of_their_medians() -> None:
    medians = [100.0, 103.0, 98.0, 110.0]
    found = interval([[value * 0.5, value, value * 3] for value in medians])
    low, high = stats.t.interval(0.95, 3, np.mean(np.log(medians)), stats.sem(np.log(medians)))
    assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)))


def test_a_figure_that_may_be_negative_gets_t_as_it_is() -> None:
    values = [-1.0, 2.0, 0.5]
    found = interval([[value] for value in values])
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 2, np.mean(values), stats.sem(values)))


def test_a_difference_gets_t_as_it_is_even_where_all_are_positive() -> None:
    values = [1.0, 2.0, 4.0]
    found = interval([[value] for value in values], factor=False)
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 2, np.mean(values), stats.sem(values)))


def test_intervals_scale_with_the_unit() -> None:
    runs = [[1.0, 1.1], [1.3, 1.2], [0.9, 1.0]]
    one, thousand = interval(runs), interval([[value * 1000 for value in run] for run in runs])
    assert (thousand.low, thousand.high) == pytest.approx((one.low * 1000, one.high * 1000))


@pytest.mark.parametrize("count", [6, 8, 16])
def test_a_single_run_gives_the_sign_tests_interval_of_its_batches(count: int) -> None:
    rng = np.random.default_rng(count)
    tables = rng.exponential(1.0, (2000, count))
    found = [interval([table.tolist()]) for table in tables]
    assert {item.basis for item in found} == {"batches"}
    assert np.mean([item.low <= math.log(2) <= item.high for item in found]) == pytest.approx(0.95, abs=0.02)


def test_few_batches_give_their_range_and_one_figure_gives_nothing() -> None:
    few = interval([[3.0, 1.0, 2.0]])
    assert (few.low, few.value, few.high) == (1, 2, 3)
    one = interval([[42.0]])
    assert (one.value, one.basis) == (42.0, "none")
    assert math.isnan(one.low)
    assert math.isnan(one.high)


def test_the_relative_half_width_is_of_the_value_and_endless_for_a_single_run() -> None:
    runs = [[100.0], [102.0], [98.0]]
    found = interval(runs)
    assert relative_half_width(runs) == pytest.approx((found.high - found.low) / 200)
    assert relative_half_width([[1.0, 2.0, 3.0]]) == math.inf


def test_replicates_have_the_interval_as_their_middle_95_percent() -> None:
    runs = [[100.0], [104.0], [98.0]]
    found = interval(runs)
    drawn = draw_replicates(runs, np.random.default_rng(0), 100_000)
    assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx([found.low, found.high], rel=0.01)
    assert set(draw_replicates([[1.0, 2.0, 3.0]], np.random.default_rng(0), 5)) == {2.0}


def test_two_runs_that_differ_wildly_neither_overflow_nor_end() -> None:
    drawn = draw_replicates([[1e-9], [1e9]], np.random.default_rng(0), 1000)
    assert np.isfinite(drawn).all()


def test_intervals_cover_the_truth_at_few_repeats_where_bootstraps_do_not() -> None:
    found = list(simulate(trials=300, resamples=100, seed=1, repeats=(3,)))
    by_method = {
        method: np.mean([c.covered for c in found if c.method == method]) for method in ("t of logarithms", "BCa")
    }
    assert by_method["t of logarithms"] == pytest.approx(0.95, abs=0.025)
    assert by_method["BCa"] < 0.85
