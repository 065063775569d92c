"""How near splits came to their bounds, and where the rest went."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from analysis.bounds import Nearness, find_nearness
from analysis.bounds_tables import bounds_frame, overview
from analysis.campaigns import find_campaigns
from analysis.compute import Analysis
from analysis.figures.bounds import draw_bounds, shares
from analysis.figures.front import bound_stairs
from analysis.frame import runs_frame
from analysis.reading import read_journals
from analysis.summary import summarise
from stage_runtime.formats.row import Row
from tests.analysis.synthetic import Plan, make_row, make_rows, write_campaign

PLAN = Plan(networks=("lan",), cuts=(3,), repeats=1, noise=0.0)


def frame(folder: Path, rows: list[Row]) -> pd.DataFrame:
    campaign = write_campaign(folder / "made-up", rows)
    return runs_frame(read_journals(find_campaigns([campaign], folder)))


def nearness(folder: Path, rows: list[Row]) -> dict[str, Nearness]:
    runs = frame(folder, rows)
    return {item.split: item for item in find_nearness(runs, summarise(runs))}


def test_what_was_lost_adds_up_to_what_the_latency_has_beyond_its_bound(tmp_path: Path) -> None:
    for item in nearness(tmp_path, make_rows(PLAN)).values():
        assert item.latency is not None
        assert sum(item.latency.lost) == pytest.approx(item.latency.latency_ms - item.latency.bound_ms)
        assert item.latency.efficiency.value == pytest.approx(item.latency.bound_ms / item.latency.latency_ms)


def test_every_part_that_is_lost_has_its_own_name(tmp_path: Path) -> None:
    row = make_row(PLAN, "lan", "P3", 1, 0)
    first, second = row.stages
    slower = (msgspec.structs.replace(first, compute_ms=first.compute_ms + 3.0), second)
    late = (first, msgspec.structs.replace(second, queue_ms=second.queue_ms + 5.0))
    coded = (msgspec.structs.replace(row.hops[0], encode_ms=6.0, decode_ms=1.0),)
    held = (msgspec.structs.replace(row.hops[0], transfer_ms=row.hops[0].transfer_ms + 11.0),)
    before = nearness(tmp_path / "before", [row])["P3"].latency
    assert before is not None
    cases: list[tuple[str, dict[str, Any], float]] = [
        ("computing_ms", {"stages": slower}, 3.0),
        ("waiting_ms", {"stages": late}, 5.0),
        ("codec_ms", {"hops": coded}, 7.0),
        ("link_ms", {"hops": held}, 11.0),
    ]
    for number, (name, changes, ms) in enumerate(cases):
        changed = msgspec.structs.replace(row, **changes, latency_ms=(row.latency_ms or 0.0) + ms)
        after = nearness(tmp_path / str(number), [changed])["P3"].latency
        assert after is not None
        expected = before.lost._replace(**{name: getattr(before.lost, name) + ms})
        assert after.lost == pytest.approx(expected)


def test_the_period_is_set_by_the_slowest_and_lost_by_it(tmp_path: Path) -> None:
    found = nearness(tmp_path, make_rows(PLAN))
    split, reference = found["P3"].throughput, found["only:pi1"].throughput
    assert split is not None
    assert reference is not None
    assert (split.window, split.limit, split.where) == (4, "stage", "pi2")
    assert (reference.limit, reference.where) == ("stage", "pi1")
    # the made-up chain passes a batch in the time of its slowest stage, which took 3 % longer than alone
    assert split.efficiency.value == pytest.approx(0.97)
    assert split.lost.computing_ms == pytest.approx(0.03 / 0.97 * PLAN.batch * 1e3 / split.bound_ips)
    assert split.lost.idle_ms == pytest.approx(0.0, abs=1e-9)


def test_where_the_link_sets_the_period_none_of_it_is_computing(tmp_path: Path) -> None:
    slow = Plan(networks=("paper_200ms_5mbit",), cuts=(3,), repeats=1, noise=0.0)
    found = nearness(tmp_path, make_rows(slow))["P3"].throughput
    assert found is not None
    assert (found.limit, found.where, found.lost.computing_ms) == ("link", "pi1 → pi2", 0.0)
    assert found.efficiency.value == pytest.approx(1.0, abs=0.01)


def test_runs_from_before_there_were_bounds_have_none(tmp_path: Path) -> None:
    old = [
        msgspec.structs.replace(
            row,
            latency_bound_ms=None,
            latency_efficiency=None,
            throughput_bound_ips=None,
            throughput_efficiency=None,
            throughput_limit=None,
        )
        for row in make_rows(PLAN)
    ]
    runs = frame(tmp_path, old)
    points = summarise(runs)
    assert find_nearness(runs, points) == []
    assert bound_stairs(points, 1.0, 0.0) == ([], [])
    assert all(math.isnan(value) for point in points for value in point.near)
    assert bounds_frame([]).empty
    assert overview([]) == []


def test_the_overview_names_the_split_that_came_least_near(analysis_of_campaign: Analysis) -> None:
    (study,) = analysis_of_campaign.studies
    items = overview(study.nearness)
    assert [(item.condition.network, item.objective) for item in items] == [
        (network, objective) for network in ("lan", "paper_200ms_5mbit") for objective in ("latency", "throughput")
    ]
    table = bounds_frame(study.nearness)
    for item in items:
        own = table[table["network"] == item.condition.network].set_index("split")[f"{item.objective}_efficiency"]
        assert item.splits == len(own)
        assert item.median == pytest.approx(own.median())
        assert (item.least, item.least_split) == (own.min(), own.idxmin())


def test_a_points_own_figures_agree_with_the_table(analysis_of_campaign: Analysis) -> None:
    (study,) = analysis_of_campaign.studies
    near = {(point.condition.network, point.split): point.near for front in study.fronts for point in front.points}
    assert len(near) == len(study.nearness)
    for row in bounds_frame(study.nearness).to_dict("records"):
        point = near[row["network"], row["split"]]
        assert all(value == row[name] for name, value in point._asdict().items())


def test_the_front_of_the_bounds_steps_up_to_the_right(analysis_of_campaign: Analysis) -> None:
    for front in analysis_of_campaign.fronts:
        xs, ys = bound_stairs(front.points, 1e9, 0.0)
        assert (xs, ys) == (sorted(xs), sorted(ys))
        assert xs[0] == min(point.near.latency_bound_ms for point in front.points)
        assert ys[-1] == max(point.near.throughput_bound_ips for point in front.points)


def test_the_figure_has_a_row_per_split_and_parts_that_are_lost(analysis_of_campaign: Analysis) -> None:
    (study,) = analysis_of_campaign.studies
    figure = draw_bounds(study)
    assert figure is not None
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["lan", "paper_200ms_5mbit"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(study.splits)
    for item in study.nearness:
        assert all(0 < part < 1 for part in shares(item).values())


def test_the_report_says_how_near_each_split_came(analysis_of_campaign: Analysis) -> None:
    from analysis.report.build import build_report  # noqa: PLC0415 - only here

    text = build_report(analysis_of_campaign, lambda _: ())
    (study,) = analysis_of_campaign.studies
    for item in overview(study.nearness):
        assert (
            f'<td class="n">{item.median:.3f}</td><td class="n">{item.least:.3f}</td><td>{item.least_split}</td>'
            in text
        )
    assert "stage pi2" in text
