from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.summary import bootstrap_medians, estimate, splits_without_latency, summarise
from stage_runtime.formats.row import Row
from tests.analysis.synthetic import Plan, make_row, make_rows, write_campaign


def frame(tmp_path: Path, rows: list[Row]) -> pd.DataFrame:
    return analysis.load(write_campaign(tmp_path / "c", rows))


def test_the_value_is_the_median_of_the_runs_medians() -> None:
    result = estimate([[1, 2, 30], [4, 5, 6], [7, 8, 9]], key="x")
    assert result.value == 5
    assert result.low <= 5 <= result.high
    assert (result.runs, result.basis) == (3, "repeats")


def test_one_run_has_an_interval_from_its_batches_and_says_so() -> None:
    result = estimate([[10.0, 11.0, 12.0, 13.0, 14.0]], key="x")
    assert result.basis == "batches"
    assert 10 <= result.low < result.value < result.high <= 14


def test_a_single_figure_has_no_interval() -> None:
    result = estimate([[42.0]], key="x")
    assert result.basis == "none"
    assert np.isnan(result.low)
    assert np.isnan(result.high)
    assert set(result.replicates) == {42.0}


def test_an_estimate_is_the_same_each_time_and_depends_on_its_key() -> None:
    runs = np.random.default_rng(0).normal(100, 10, (4, 8)).tolist()
    assert (estimate(runs, key="a").replicates == estimate(runs, key="a").replicates).all()
    assert (estimate(runs, key="a").replicates != estimate(runs, key="b").replicates).any()


def test_replicates_have_the_distribution_of_a_plain_loop() -> None:
    runs = [[1.0, 2.0, 3.0, 9.0], [4.0, 5.0], [6.0, 7.0, 8.0]]
    fast = bootstrap_medians(runs, np.random.default_rng(1), 20_000)
    rng = np.random.default_rng(2)
    slow = [
        np.median([np.median(rng.choice(runs[k], len(runs[k]))) for k in rng.integers(3, size=3)])
        for _ in range(20_000)
    ]
    shares = [0.05, 0.25, 0.5, 0.75, 0.95]
    assert np.quantile(fast, shares) == pytest.approx(np.quantile(slow, shares), abs=0.26)
    assert fast.mean() == pytest.approx(np.mean(slow), abs=0.06)


def test_intervals_cover_the_truth_about_as_often_as_they_claim() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    trials = 200
    for trial in range(trials):
        drift = rng.normal(0, 5, (12, 1))
        result = estimate((100 + drift + rng.normal(0, 2, (12, 8))).tolist(), key=str(trial), resamples=400)
        covered += result.low <= 100 <= result.high
    assert 0.90 <= covered / trials <= 0.995


def test_batches_alone_do_not_cover_drift() -> None:
    """Why repeats are drawn first: pooling batches would claim far too much."""
    rng = np.random.default_rng(4)
    drift = rng.normal(0, 5, (12, 1))
    runs = (100 + drift + rng.normal(0, 0.5, (12, 8))).tolist()
    by_repeats = estimate(runs, key="x")
    pooled = estimate([[value for run in runs for value in run]], key="x")
    assert by_repeats.high - by_repeats.low > 1.5 * (pooled.high - pooled.low)


def test_latency_is_that_of_window_1_and_throughput_of_the_best_wider_window(tmp_path: Path) -> None:
    plan = Plan(batches=4)
    base = make_row(plan, "lan", "P3", 1, 0)
    rows = [
        msgspec.structs.replace(
            base, cell_id=str(window), window=window, batch_latency_ms=(latency,) * 3, throughput_ips=rate
        )
        for window, latency, rate in ((1, 10.0, 99.0), (2, 20.0, 40.0), (4, 40.0, 60.0), (8, 80.0, 50.0))
    ]
    (point,) = summarise(frame(tmp_path, rows))
    assert point.latency.value == 10.0
    assert (point.throughput.value, point.throughput_window) == (60.0, 4)


def test_throughput_falls_back_to_window_1(tmp_path: Path) -> None:
    (point,) = summarise(frame(tmp_path, [make_row(Plan(), "lan", "P3", 1, 0)]))
    assert point.throughput_window == 1


def test_a_split_without_a_window_1_run_is_no_point_and_is_named(tmp_path: Path) -> None:
    rows = [make_row(Plan(), "lan", "P3", 1, 0), make_row(Plan(), "lan", "P5", 4, 0)]
    runs = frame(tmp_path, rows)
    assert [point.split for point in summarise(runs)] == ["P3"]
    assert splits_without_latency(runs) == ["mobilenet_v2 · pi_to_pi · tcp · batch 8 · lan: P5"]


def test_points_come_references_first_then_by_cut_in_the_order_of_networks(tmp_path: Path) -> None:
    plan = Plan(networks=("wifi", "lan"), cuts=(10, 2), repeats=1)
    points = summarise(frame(tmp_path, make_rows(plan)))
    assert [point.split for point in points] == ["only:pi1", "only:pi2", "P2", "P10"] * 2
    assert [point.condition.network for point in points] == ["wifi"] * 4 + ["lan"] * 4


def test_other_batch_sizes_and_granularities_are_other_conditions(tmp_path: Path) -> None:
    one = make_row(Plan(), "lan", "P3", 1, 0)
    rows = [
        one,
        msgspec.structs.replace(one, batch=1, repeat=1),
        msgspec.structs.replace(one, granularity="all", repeat=2),
    ]
    points = summarise(frame(tmp_path, rows))
    assert len({point.condition for point in points}) == 3
    assert [point.latency.runs for point in points] == [1, 1, 1]


def test_failed_runs_do_not_count(tmp_path: Path) -> None:
    good = make_row(Plan(), "lan", "P3", 1, 0)
    bad = msgspec.structs.replace(good, repeat=1, status="invalid", reason="NaN in the output")
    (point,) = summarise(frame(tmp_path, [good, bad]))
    assert point.latency.runs == 1
