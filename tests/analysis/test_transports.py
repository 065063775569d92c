"""TCP and RPC side by side: pairs, ratios, overheads, summaries, tables."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import analysis
from analysis.compute import Analysis
from analysis.transport_summary import summarise_transports
from analysis.transport_tables import transport_summary_frame, transports_frame
from analysis.transports import Comparison, SplitPair, compare_transports
from analysis.words import transport_words
from stage_runtime.formats.cell import TransportName
from stage_runtime.formats.row import Row
from tests.analysis.synthetic import RPC_MS, RPC_MS_PER_MB, Plan, make_row, write_campaign


def run(transport: TransportName, repeat: int, latency: float, rate: float, window: int = 1) -> Row:
    row = make_row(Plan(noise=0), "lan", "P3", window, repeat, transport=transport)
    return msgspec.structs.replace(row, latency_ms=latency, throughput_ips=rate)


def compare(tmp_path: Path, rows: Sequence[Row]) -> list[Comparison]:
    return compare_transports(analysis.load(write_campaign(tmp_path / "c", rows)))


def only_pair(tmp_path: Path, rows: Sequence[Row]) -> SplitPair:
    (comparison,) = compare(tmp_path, rows)
    (pair,) = comparison.splits
    return pair


def test_ratios_are_taken_repeat_by_repeat(tmp_path: Path) -> None:
    # the machine is twice as slow in the second repeat, which a pair does not see
    tcp = [run("tcp", 0, 100, 50), run("tcp", 1, 200, 25), run("tcp", 2, 110, 48)]
    rpc = [run("rpc", 0, 110, 48), run("rpc", 1, 220, 24), run("rpc", 2, 120, 45)]
    pair = only_pair(tmp_path, [*tcp, *rpc])
    ratios = [1.1, 1.1, 120 / 110]
    assert pair.pairs == 3
    assert pair.latency_ratio is not None
    assert pair.latency_ratio.value == pytest.approx(1.1)
    low, high = stats.t.interval(0.95, 2, np.mean(np.log(ratios)), stats.sem(np.log(ratios)))
    assert (pair.latency_ratio.low, pair.latency_ratio.high) == pytest.approx((math.exp(low), math.exp(high)))
    assert pair.throughput_ratio.value == pytest.approx(0.96)


def test_runs_without_partner_are_compared_by_their_distributions(tmp_path: Path) -> None:
    tcp = [run("tcp", repeat, 100 + repeat, 50) for repeat in range(3)]
    rpc = [run("rpc", repeat, 150 + repeat, 40) for repeat in range(5, 8)]
    pair = only_pair(tmp_path, [*tcp, *rpc])
    assert pair.pairs == 0
    assert pair.latency_ratio is not None
    assert pair.latency_ratio.value == pytest.approx(156 / 101)
    assert 1.4 < pair.latency_ratio.low < pair.latency_ratio.value < pair.latency_ratio.high < 1.7
    assert pair.overhead_difference is None


def test_single_runs_have_a_ratio_and_no_interval(tmp_path: Path) -> None:
    pair = only_pair(tmp_path, [run("tcp", 0, 100, 50), run("rpc", 0, 110, 45)])
    assert pair.latency_ratio is not None
    assert (pair.latency_ratio.value, pair.latency_ratio.basis) == (pytest.approx(1.1), "none")


def test_latency_is_not_compared_above_window_1(tmp_path: Path) -> None:
    pair = only_pair(tmp_path, [run("tcp", 0, 400, 50, window=4), run("rpc", 0, 800, 45, window=4)])
    assert pair.latency_ratio is None
    assert pair.base.overhead is None
    assert pair.throughput_ratio.value == pytest.approx(0.9)


def test_the_overhead_is_what_is_left_of_the_latency_by_hand(tmp_path: Path) -> None:
    # 2.4 MB at 1000 Mbit/s and its headers, 0.2 ms of delay, and the compute of both stages
    wire = 2_400_000 * 8e-3 / (1000 * 0.955) + 0.2
    rows = [run("tcp", repeat, 300, 50) for repeat in (0, 1)] + [run("rpc", repeat, 310, 50) for repeat in (0, 1)]
    compute = [sum(stage.compute_ms for stage in row.stages) for row in rows[:2]]
    pair = only_pair(tmp_path, rows)
    assert pair.base.overhead is not None
    assert pair.base.overhead.value == pytest.approx(300 - wire - np.mean(compute))
    assert pair.overhead_difference is not None
    assert pair.overhead_difference.value == pytest.approx(10)
    assert pair.base.compute_ms == pytest.approx(np.mean(compute))


def test_splits_stand_in_their_order_whatever_the_shuffle(tmp_path: Path) -> None:
    cells = [("P8", 4), ("only:pi2", 1), ("P8", 1), ("P3", 1), ("only:pi1", 1)]
    rows = [
        make_row(Plan(noise=0), "lan", split, window, 0, transport=transport)
        for split, window in cells
        for transport in ("rpc", "tcp")
    ]
    (found,) = compare(tmp_path, rows)
    order = [("only:pi1", 1), ("only:pi2", 1), ("P3", 1), ("P8", 1), ("P8", 4)]
    assert [(pair.split, pair.window) for pair in found.splits] == order


def test_a_campaign_over_one_transport_compares_nothing_and_its_tables_have_their_columns(tmp_path: Path) -> None:
    found = compare(tmp_path, [run("tcp", 0, 100, 50)])
    assert found == []
    both = transports_frame(compare(tmp_path, [run("tcp", 0, 100, 50), run("rpc", 0, 110, 45)]))
    assert list(transports_frame([]).columns) == list(both.columns)
    assert len(transport_summary_frame([])) == 0


def test_what_rpc_was_made_to_cost_comes_out(analysis_of_both: Analysis) -> None:
    (comparison,) = analysis_of_both.transports
    assert comparison.slug == "mobilenet-v2-pi-to-pi-rpc-against-tcp-batch-8"
    (pair,) = [
        pair for pair in comparison.splits if (pair.condition.network, pair.split, pair.window) == ("lan", "P8", 1)
    ]
    assert pair.pairs == 4
    assert pair.overhead_difference is not None
    truth = RPC_MS + 0.4 * RPC_MS_PER_MB
    assert pair.overhead_difference.low < truth < pair.overhead_difference.high


def test_what_crosses_no_link_is_compared_and_in_no_summary(analysis_of_both: Analysis) -> None:
    (comparison,) = analysis_of_both.transports
    assert {pair.split for pair in comparison.splits if not pair.crosses} == {"only:pi1"}
    for item in analysis_of_both.transport_summaries:
        assert item.splits == (4 if item.scope.network else 8)


def test_summaries_go_by_network_then_chain_then_model_and_hold_the_median_of_the_splits(
    analysis_of_both: Analysis,
) -> None:
    scopes = [
        (item.scope.chain, item.scope.network, item.scope.window) for item in analysis_of_both.transport_summaries
    ]
    assert scopes == [
        *[("pi_to_pi", network, window) for network in ("paper_200ms_5mbit", "lan") for window in (1, 4)],
        ("pi_to_pi", "", 1), ("pi_to_pi", "", 4), ("", "", 1), ("", "", 4),
    ]  # fmt: skip
    (comparison,) = analysis_of_both.transports
    ratios = [pair.throughput_ratio.value for pair in comparison.splits if pair.crosses and pair.window == 4]
    assert analysis_of_both.transport_summaries[-1].throughput_ratio.value == pytest.approx(np.median(ratios))
    assert analysis_of_both.transport_summaries[-1].latency_ratio is None


def test_the_words_say_it_per_model_and_window(analysis_of_both: Analysis) -> None:
    one, wide = transport_words(analysis_of_both.transport_summaries)
    assert one.startswith("mobilenet_v2, batch 8, window 1: rpc has latency 1.0")
    assert "of tcp's (8 splits and networks)" in one
    assert wide.startswith("mobilenet_v2, batch 8, window 4: rpc has throughput ")


def test_summaries_of_two_comparisons_of_one_model_are_taken_together(analysis_of_both: Analysis) -> None:
    (comparison,) = analysis_of_both.transports
    other = Comparison(
        condition=comparison.condition._replace(chain="pi_to_gpu"),
        splits=tuple(
            dataclasses.replace(pair, condition=pair.condition._replace(chain="pi_to_gpu"))
            for pair in comparison.splits
        ),
    )
    found = summarise_transports([comparison, other])
    whole = [item for item in found if not item.scope.chain and item.scope.window == 1]
    assert [item.splits for item in whole] == [16]


def test_the_tables_say_what_the_comparison_says(analysis_of_both: Analysis, tmp_path: Path) -> None:
    table = transports_frame(analysis_of_both.transports)
    table.to_csv(tmp_path / "t.csv", index=False)
    assert len(pd.read_csv(tmp_path / "t.csv")) == 2 * 5 * 2
    assert table.loc[table["window"] == 4, "tcp_latency_ms"].isna().all()
    assert (table["throughput_ratio_low"] < table["throughput_ratio_high"]).all()
    summary = transport_summary_frame(analysis_of_both.transport_summaries)
    assert summary["network"].tolist()[-1] == "all"
