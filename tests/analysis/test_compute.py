"""What follows from the runs: breakdowns, studies, cautions, links, provenance."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pandas as pd
import pytest

import analysis
from analysis.breakdown import break_down
from analysis.campaigns import find_campaigns
from analysis.cautions import find_cautions
from analysis.compute import Analysis, analyse
from analysis.errors import AnalysisError
from analysis.fronts import find_fronts
from analysis.networks import describe_link, links_frame
from analysis.reading import read_journals
from analysis.studies import MOST_SPLITS
from analysis.summary import summarise
from stage_runtime.formats.row import Row
from tests.analysis.synthetic import Plan, failed, make_row, make_rows, write_campaign


def frame(tmp_path: Path, rows: list[Row]) -> pd.DataFrame:
    return analysis.load(write_campaign(tmp_path / "c", rows))


def cautions(tmp_path: Path, rows: list[Row]) -> list[str]:
    runs = frame(tmp_path, rows)
    return find_cautions(runs, find_fronts(summarise(runs)))


def compute(folder: Path, select: dict[str, list[str]] | None = None) -> Analysis:
    campaigns = find_campaigns([folder], folder.parent)
    return analyse(campaigns, read_journals(campaigns), select)


def test_a_breakdown_follows_the_way_of_a_batch_and_adds_up_to_its_latency(tmp_path: Path) -> None:
    runs = frame(tmp_path, [make_row(Plan(noise=0), "wifi", "P3", 1, 0)])
    (way,) = break_down(runs, summarise(runs))
    kinds = [(segment.kind, segment.where) for segment in way.segments]
    assert kinds == [("compute", "pi1"), ("link", "pi1 → pi2"), ("waiting", "pi2"), ("compute", "pi2"), ("other", "")]
    assert sum(segment.ms for segment in way.segments) == pytest.approx(way.latency_ms)
    assert way.segments[0].ms == pytest.approx(22 + 30 + 28)


def test_an_empty_first_stage_computes_nothing_in_a_breakdown(tmp_path: Path) -> None:
    runs = frame(tmp_path, [make_row(Plan(), "wifi", "only:pi2", 1, 0)])
    (way,) = break_down(runs, summarise(runs))
    assert [segment.where for segment in way.segments if segment.kind == "compute"] == ["pi2"]


def test_a_breakdown_never_goes_below_zero_nor_beyond_what_was_measured(tmp_path: Path) -> None:
    row = make_row(Plan(), "lan", "P3", 1, 0)
    hops = [msgspec.structs.replace(row.hops[0], transfer_ms=-0.4)]  # an offset can overshoot a tiny transfer
    runs = frame(tmp_path, [msgspec.structs.replace(row, hops=tuple(hops))])
    (way,) = break_down(runs, summarise(runs))
    assert min(segment.ms for segment in way.segments) == 0


def test_a_study_holds_the_networks_of_one_chain_and_shows_every_reference(analysis_of_campaign: Analysis) -> None:
    (study,) = analysis_of_campaign.studies
    assert [front.condition.network for front in study.fronts] == ["lan", "paper_200ms_5mbit"]
    assert study.splits == ("only:pi1", "only:pi2", "P1", "P3", "P8", "P14", "P17")
    assert study.left_out == 0


def test_a_study_of_very_many_splits_keeps_references_front_and_the_best(tmp_path: Path) -> None:
    plan = Plan(networks=("lan",), cuts=(), windows=(1,), repeats=1, noise=0)
    base = make_row(plan, "lan", "P3", 1, 0)
    many = [
        msgspec.structs.replace(
            base,
            cell_id=str(k),
            split=f"P{k}",
            cut=(k,),
            batch_latency_ms=(1000.0 + k,),
            throughput_ips=600.0 if k == 100 else 500.0 - k,
        )
        for k in range(1, 101)
    ]
    (study,) = compute(write_campaign(tmp_path / "c", make_rows(plan) + many)).studies
    assert len(study.splits) == MOST_SPLITS
    assert study.left_out == 102 - MOST_SPLITS
    assert [point.split for point in study.fronts[0].front_points] == ["only:pi1", "P1", "P100"]
    assert {"only:pi1", "only:pi2", "P1", "P2", "P100"} <= set(study.splits)
    assert "P99" not in study.splits


def test_a_front_longer_than_a_figure_keeps_both_its_ends(tmp_path: Path) -> None:
    base = make_row(Plan(), "lan", "P3", 1, 0)
    many = [
        msgspec.structs.replace(
            base, cell_id=str(k), split=f"P{k}", cut=(k,), batch_latency_ms=(100.0 + k,), throughput_ips=20.0 + k
        )
        for k in range(1, 101)
    ]
    (study,) = compute(write_campaign(tmp_path / "c", many)).studies
    assert len(study.splits) == MOST_SPLITS
    assert {"P1", "P100"} <= set(study.splits)


def test_what_a_row_warns_of_reaches_the_reader_with_its_count(tmp_path: Path) -> None:
    found = cautions(tmp_path, make_rows(Plan(networks=("lan",), cuts=(3,), repeats=2)))
    assert "oversubscribed: 3 virtual devices on 2 cores (12 of 12 runs)" in found


def test_single_runs_and_missing_references_and_windows_are_cautions(tmp_path: Path) -> None:
    found = "\n".join(cautions(tmp_path, [make_row(Plan(), "lan", "P3", 1, 0)]))
    assert "1 of 1 points were run once" in found
    assert "no unsplit reference under mobilenet_v2 · pi_to_pi · tcp · batch 8 · lan" in found
    assert "1 of 1 points have no run with several batches in flight" in found


def test_a_sound_campaign_has_no_caution(tmp_path: Path) -> None:
    rows = [msgspec.structs.replace(row, warnings=()) for row in make_rows(Plan(networks=("lan",), cuts=(3, 8)))]
    assert cautions(tmp_path, rows) == []


def test_an_uncertain_clock_is_a_caution_that_names_the_split(tmp_path: Path) -> None:
    row = make_row(Plan(), "lan", "P3", 1, 0)
    found = "\n".join(cautions(tmp_path, [msgspec.structs.replace(row, latency_uncertainty_ms=50.0)]))
    assert "clock offset is uncertain by more than 5% of the latency of pi_to_pi/lan/P3" in found


def test_an_old_row_is_judged_by_the_uncertainty_of_its_hops(tmp_path: Path) -> None:
    row = make_row(Plan(), "lan", "P3", 1, 0)
    hop = msgspec.structs.replace(row.hops[0], offset_uncertainty_ms=50.0)
    old = msgspec.structs.replace(row, hops=(hop,), latency_uncertainty_ms=None)
    assert "clock offset is uncertain" in "\n".join(cautions(tmp_path, [old]))


def test_unstable_runs_are_counted_by_reason_and_points_without_a_stable_run_are_named(tmp_path: Path) -> None:
    shaky = [
        msgspec.structs.replace(make_row(Plan(), "lan", "P3", 1, repeat), unstable=(f"stolen time {repeat}.5% on pi1",))
        for repeat in range(1, 4)
    ]
    steady = make_row(Plan(), "lan", "P8", 1, 0)
    found = "\n".join(cautions(tmp_path, [*shaky, steady]))
    assert "3 of 4 runs are unstable, runs by reason: stolen time 1.5 to 3.5% on pi1: 3" in found
    assert "no stable run of mobilenet_v2 · pi_to_pi · tcp · batch 8 · lan: P3" in found


def test_merging_different_cells_or_networks_into_one_point_is_a_caution(tmp_path: Path) -> None:
    row = make_row(Plan(), "lan", "P3", 1, 0)
    slower = tuple(msgspec.structs.replace(side, asked={**side.asked, "delay_ms": 9.0}) for side in row.link)
    found = "\n".join(cautions(tmp_path, [row, msgspec.structs.replace(row, cell_id="other", link=slower)]))
    assert "1 points merge cells that differ" in found
    assert "definition changed between runs of pi_to_pi/lan" in found


def test_failed_and_retried_runs_are_told_apart(tmp_path: Path) -> None:
    row = make_row(Plan(), "lan", "P3", 1, 0)
    found = cautions(tmp_path, [failed(row, "cut off"), row, failed(make_row(Plan(), "lan", "P8", 1, 0), "x")])
    assert "1 of 3 runs did not end ok and stand on no figure" in found
    assert "1 runs failed first and were ok when retried" in found


def test_only_failed_runs_give_the_first_reason_and_the_remedy(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path / "c", [failed(make_row(Plan(), "lan", "P3", 1, 0), "pi2 is unreachable")])
    with pytest.raises(AnalysisError, match=r"none of the 1 runs ended ok.*P3: pi2 is unreachable.*retry_failed=true"):
        compute(folder)


def test_only_wide_windows_are_refused_with_the_remedy(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path / "c", [make_row(Plan(), "lan", "P3", 4, 0)])
    with pytest.raises(AnalysisError, match="window=1,4"):
        compute(folder)


def test_a_filter_keeps_what_it_names_and_refuses_the_unknown_with_the_known(campaign: Path) -> None:
    found = compute(campaign, {"network": ["lan"]})
    assert [front.condition.network for front in found.fronts] == ["lan"]
    assert any("cut short" in text for text in found.cautions)
    with pytest.raises(AnalysisError, match="no run with network lann; there are: lan, paper_200ms_5mbit"):
        compute(campaign, {"network": ["lann"]})


def test_links_are_listed_by_direction_with_what_was_measured(analysis_of_campaign: Analysis) -> None:
    links = links_frame(analysis_of_campaign.runs)
    assert list(links["link"]) == ["pi1 → pi2", "pi2 → pi1"] * 2
    slow = links[links["network"] == "paper_200ms_5mbit"].iloc[0]
    assert slow["asked"] == "5 Mbit/s, 200 ms"
    assert slow["rtt_ms"] == pytest.approx(400.3)


def test_a_link_is_described_in_words() -> None:
    spec = {"rate_mbit": None, "delay_ms": 25.0, "jitter_ms": 5.0, "loss_percent": 0.1}
    assert describe_link(spec) == "no rate limit, 25 ms, ± 5 ms, 0.1 % lost"


def test_provenance_is_read_whatever_its_shape_and_says_where_it_is_broken(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path / "c", [make_row(Plan(), "lan", "P3", 1, 0)])
    (folder / "provenance" / "pi_to_pi-lan.json").write_text('{"links": [{"rtt_ms": 0.7}], "empty": null}')
    (folder / "provenance" / "broken.json").write_text("{")
    found = {item.title: dict(item.entries) for item in compute(folder).provenance}
    assert found["c: campaign.json"]["options.networks"] == "lan, wifi, paper_200ms_5mbit"
    assert found["c: provenance/0.json"]["devices.pi1.governor"] == "performance"
    assert found["c: provenance/pi_to_pi-lan.json"] == {"links[0].rtt_ms": "0.7", "empty": ""}
    assert list(found["c: provenance/broken.json"]) == ["unreadable"]
