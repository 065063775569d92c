from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.intervals import interval
from analysis.summary import RunKey, estimate, splits_without_latency, summarise
from stage_runtime.formats.row import Row
from tests.analysis.synthetic import COMPUTE_MS, Plan, make_row, make_rows, write_campaign


def frame(tmp_path: Path, rows: list[Row]) -> pd.DataFrame:
    return analysis.load(write_campaign(tmp_path / "c", rows))


def keyed(runs: list[list[float]]) -> dict[RunKey, list[float]]:
    return {RunKey("made-up", repeat): run for repeat, run in enumerate(runs)}


def test_an_estimate_is_the_interval_with_replicates_that_agree_and_each_runs_median() -> None:
    runs = keyed([[1, 2, 30], [4, 5, 6], [7, 8, 9]])
    result = estimate(runs, key="x", resamples=20_000)
    found = interval(list(runs.values()))
    assert (result.value, result.low, result.high, result.basis) == (5, found.low, found.high, "repeats")
    assert result.runs == 3
    assert list(result.medians.values()) == [2, 5, 8]
    assert np.quantile(result.replicates, [0.025, 0.975]) == pytest.approx([result.low, result.high], rel=0.2)


def test_a_single_figure_has_no_interval_and_equal_replicates() -> None:
    result = estimate(keyed([[42.0]]), key="x")
    assert result.basis == "none"
    assert np.isnan(result.low)
    assert set(result.replicates) == {42.0}


def test_an_estimate_is_the_same_each_time_and_depends_on_its_key() -> None:
    runs = keyed(np.random.default_rng(0).normal(100, 10, (4, 8)).tolist())
    assert (estimate(runs, key="a").replicates == estimate(runs, key="a").replicates).all()
    assert (estimate(runs, key="a").replicates != estimate(runs, key="b").replicates).any()


def test_the_tail_is_that_of_all_batches_of_all_runs(tmp_path: Path) -> None:
    rows = [make_row(Plan(batches=16), "lan", "P3", 1, repeat) for repeat in range(4)]
    (point,) = summarise(frame(tmp_path, rows))
    batches = sorted(value for row in rows for value in row.batch_latency_ms)
    assert point.latency_tail.batches == 64
    assert batches[-5] < point.latency_tail.p95 < batches[-3]
    assert batches[-2] < point.latency_tail.p99 < batches[-1]
    assert point.response_tail.p99 > point.response_tail.p95 > point.response_ms


def test_a_point_knows_its_unstable_runs_uncertainty_and_each_devices_share(tmp_path: Path) -> None:
    rows = [
        msgspec.structs.replace(
            make_row(Plan(), "lan", "P3", 1, repeat),
            unstable=("throttled on pi1", "swapping on pi2") if repeat else (),
            latency_uncertainty_ms=0.1 * (repeat + 1),
        )
        for repeat in range(3)
    ]
    (point,) = summarise(frame(tmp_path, rows))
    assert point.unstable == {"throttled on pi1": 2, "swapping on pi2": 2}
    assert point.unstable_runs == 2
    assert point.latency_uncertainty_ms == pytest.approx(0.2)
    assert point.blocks == (3, 16)
    front, tail = point.compute_ms
    assert front / tail == pytest.approx(sum(COMPUTE_MS[:3]) / sum(COMPUTE_MS[3:]))


def test_a_device_that_only_passes_the_input_on_computes_nothing(tmp_path: Path) -> None:
    (point,) = summarise(frame(tmp_path, [make_row(Plan(), "lan", "only:pi2", 1, 0)]))
    assert point.blocks == (0, 19)
    assert point.compute_ms[0] == 0


def test_repeats_of_two_campaigns_do_not_hide_each_other(tmp_path: Path) -> None:
    row = make_row(Plan(), "lan", "P3", 1, 0)
    other = [
        msgspec.structs.replace(row, campaign="b", cell_id="b's"),
        msgspec.structs.replace(row, cell_id="more batches"),
    ]
    (point,) = summarise(frame(tmp_path, [row, *other]))
    assert point.latency.runs == 3
    assert set(point.latency.medians) == {
        RunKey("made-up", 0), RunKey("b", 0), RunKey("made-up", 0, 1),
    }  # fmt: skip


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
