"""Codecs side by side: errors, ratios, and the front of latency against error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from analysis.campaigns import find_campaigns
from analysis.codecs import Trade, Tradeoff
from analysis.codecs_tables import codecs_frame
from analysis.compute import Analysis, analyse
from analysis.figures.codecs import draw_codecs, front_steps
from analysis.reading import read_journals
from analysis.report.build import build_report
from stage_runtime.formats.row import Row
from tests.analysis.coded import make_coded
from tests.analysis.synthetic import Plan, make_rows, write_campaign

PLAN = Plan(networks=("lan", "paper_200ms_5mbit"), cuts=(3, 8), repeats=2, noise=0.0)


def analysed(folder: Path, rows: Sequence[Row]) -> Analysis:
    campaigns = find_campaigns([write_campaign(folder / "c", rows)], folder)
    return analyse(campaigns, read_journals(campaigns))


@pytest.fixture(scope="module")
def tradeoff(analysis_of_codecs: Analysis) -> Tradeoff:
    (found,) = analysis_of_codecs.tradeoffs
    return found


def trades_of(tradeoff: Tradeoff, split: str, network: str = "paper_200ms_5mbit") -> dict[str, Trade]:
    return {t.point.condition.codec: t for t in tradeoff.under(network) if t.point.split == split}


def test_each_split_has_a_trade_for_every_codec_and_the_first_device_alone_one(tradeoff: Tradeoff) -> None:
    for network in tradeoff.networks:
        assert set(trades_of(tradeoff, "P3", network)) == {"none", "fp16", "int8", "auto"}
        assert set(trades_of(tradeoff, "only:pi2", network)) == {"none", "fp16", "int8", "auto"}
        assert set(trades_of(tradeoff, "only:pi1", network)) == {"none"}
    assert tradeoff.networks == ("lan", "paper_200ms_5mbit")


def test_ratios_are_over_the_same_split_without_a_codec(tradeoff: Tradeoff) -> None:
    found = trades_of(tradeoff, "P3")
    assert (found["none"].latency_ratio, found["none"].throughput_ratio) == (1.0, 1.0)
    assert found["int8"].throughput_ratio == pytest.approx(4.0)
    expected = found["int8"].point.latency.value / found["none"].point.latency.value
    assert found["int8"].latency_ratio == pytest.approx(expected)
    assert expected < 0.5
    assert found["int8"].bytes_share == pytest.approx(0.25)
    assert (found["int8"].encode_ms, found["int8"].decode_ms) == (1.0, 0.5)


def test_the_error_is_the_greatest_and_the_agreement_the_least_of_all_runs(tmp_path: Path) -> None:
    rows = make_coded(Plan(networks=("lan",), cuts=(3,), repeats=3), "none", "int8")
    worst = next(i for i, row in enumerate(rows) if (row.split, row.codec, row.window) == ("P3", "int8", 4))
    rows[worst] = msgspec.structs.replace(rows[worst], relative_error=0.07, top1_agreement=0.5)
    (found,) = analysed(tmp_path, rows).tradeoffs
    trade = trades_of(found, "P3", "lan")["int8"]
    assert (trade.relative_error, trade.top1_agreement) == (0.07, 0.5)


def test_what_auto_chose_is_told(tradeoff: Tradeoff) -> None:
    found = trades_of(tradeoff, "P8")
    assert (found["auto"].written, found["none"].written) == (("int8",), ("none",))


def test_a_point_is_on_the_front_when_nothing_is_faster_and_as_exact(tradeoff: Tradeoff) -> None:
    for network in tradeoff.networks:
        trades = tradeoff.under(network)
        for trade in trades:
            here = trade.point.latency.value, trade.relative_error
            beaten = any(
                (other.point.latency.value, other.relative_error) != here
                and other.point.latency.value <= here[0]
                and other.relative_error <= here[1]
                for other in trades
            )
            assert trade.on_front == (not beaten)
    latencies, errors = front_steps(tradeoff.under("paper_200ms_5mbit"))
    assert latencies == sorted(latencies)
    assert errors == sorted(errors, reverse=True)


def test_no_agreement_is_claimed_of_random_weights(tmp_path: Path) -> None:
    plan = Plan(networks=("lan",), cuts=(3,), repeats=1)
    analysis = analysed(tmp_path, make_coded(plan, "none", "int8", weights="seeded:0"))
    (found,) = analysis.tradeoffs
    assert all(math.isnan(trade.top1_agreement) for trade in found.trades)
    assert trades_of(found, "P3", "lan")["int8"].relative_error == 5e-3
    assert codecs_frame(analysis.tradeoffs)["top1_agreement"].isna().all()


def test_one_codec_or_unknown_errors_are_nothing_to_compare(tmp_path: Path) -> None:
    plan = Plan(networks=("lan",), cuts=(3,), repeats=1)
    assert analysed(tmp_path / "one", make_coded(plan, "int8")).tradeoffs == ()
    unknown = [msgspec.structs.replace(row, relative_error=None) for row in make_coded(plan, "none", "int8")]
    assert analysed(tmp_path / "unknown", unknown).tradeoffs == ()
    old = analysed(tmp_path / "old", make_rows(plan))
    assert codecs_frame(old.tradeoffs).empty


def test_the_figure_and_the_report_show_them(analysis_of_codecs: Analysis, tradeoff: Tradeoff) -> None:
    figure = draw_codecs(tradeoff)
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(tradeoff.networks)
    page = build_report(analysis_of_codecs, lambda _: ())
    assert 'id="codecs"' in page
    assert page.count("<td>int8</td><td>int8</td>") == sum(t.written == ("int8",) for t in tradeoff.trades) - sum(
        t.point.condition.codec == "auto" for t in tradeoff.trades
    )
