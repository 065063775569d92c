"""Ratios of made-up rows, against what they must be."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import msgspec
import pytest

from analysis.intervals import Interval
from bench.contest.compare import (
    EQUAL_NUMERICS,
    EVERY_MODEL,
    EVERYTHING_ON,
    PAIRINGS,
    Best,
    Contrast,
    Measured,
    Pairing,
    collect,
    contrasts,
)
from bench.contest.sides import EAGER, EVERYTHING, PICKLE, side_of
from bench.contest.tables import COLUMNS, as_csv, judged_text, lines_of, markdown, models_of, terminal_table
from bench.contest.targets import TARGETS, Target, judge
from stage_runtime.formats.row import Row
from tests.bench.contest.made import baseline_row, contest, planned_cells, row

SPLITS = {"alexnet": {"lan": (3, 6), "mbit5": (3, 6)}, "resnet18": {"lan": (2, 4), "mbit5": (2, 4)}}
# of the pickle transport: at P3 and P2 10 images/s and 100 ms, at P6 and P4 20 images/s and 400 ms
PICKLED = {"P3": (10.0, 100.0), "P2": (10.0, 100.0), "P6": (20.0, 400.0), "P4": (20.0, 400.0)}


def rows(drift: tuple[float, ...] = (1.0, 1.1, 0.9), **given: float) -> list[Row]:
    """Give every side three times the pickle transport's throughput at the larger cut, and half of its response."""
    found = []
    for cell in planned_cells(contest(splits=SPLITS, repeats=len(drift))):
        pace = drift[cell.repeat]
        rate = 60.0 if cell.split in {"P6", "P4"} else 40.0
        response = 50.0 if cell.split in {"P3", "P2"} else 90.0
        side = side_of(cell.split, cell.devices, cell.transport, cell.engine, cell.codec)
        assert side is not None
        factor = given.get(side.name, 1.0)
        found.append(row(cell, throughput_ips=rate * factor / pace, response_ms=response / factor * pace))
    return found


def pickled(drift: tuple[float, ...] = (1.0, 1.1, 0.9), **changes: Any) -> list[Any]:
    found = []
    for model, by_network in SPLITS.items():
        for network, points in by_network.items():
            for point in points:
                rate, response = PICKLED[f"P{point}"]
                for repeat, pace in enumerate(drift):
                    about = {"model": model, "network": network, "split": f"P{point}", "repeat": repeat, **changes}
                    found.append(baseline_row(**about, throughput_ips=rate / pace))
                    found.append(
                        baseline_row(**about, one_in_flight=True, response_ms=response * pace, throughput_ips=1e9)
                    )
    return found


def only(found: list[Contrast], pairing: Pairing, network: str, figure: str, model: str) -> Contrast:
    (one,) = [c for c in found if c[:4] == (pairing, network, figure, model)]
    return one


@pytest.fixture(scope="module")
def measured() -> Measured:
    return collect(rows(), pickled())


@pytest.fixture(scope="module")
def found(measured: Measured) -> list[Contrast]:
    return contrasts(measured)


def test_each_side_is_taken_at_its_own_best_split(found: list[Contrast]) -> None:
    rate = only(found, EQUAL_NUMERICS, "lan", "throughput", "alexnet")
    assert (rate.mine, rate.theirs) == (Best("P6", 60.0), Best("P6", 20.0))
    response = only(found, EQUAL_NUMERICS, "lan", "response", "resnet18")
    assert (response.mine, response.theirs) == (Best("P2", 50.0), Best("P2", 100.0))


def test_drift_that_a_repeat_shares_is_not_in_a_ratio(found: list[Contrast]) -> None:
    rate = only(found, EQUAL_NUMERICS, "lan", "throughput", "alexnet").ratio
    assert (rate.low, rate.value, rate.high) == pytest.approx((3.0, 3.0, 3.0))


def test_above_one_the_first_side_is_better_in_either_figure() -> None:
    slower = contrasts(collect(rows(**{EAGER.name: 0.25}), pickled()))
    for figure in ("throughput", "response"):
        assert only(slower, EQUAL_NUMERICS, "lan", figure, "alexnet").ratio.value < 1


def test_at_one_split_both_are_taken_at_the_first_ones() -> None:
    away = [msgspec.structs.replace(one, split="P12") if one.split == "P6" else one for one in pickled()]
    (_, same, *_) = PAIRINGS
    assert same.one_split
    found = contrasts(collect(rows(), away))
    assert [c for c in found if c[:4] == (same, "lan", "throughput", "alexnet")] == [], "it was not run at P6"
    response = only(found, same, "lan", "response", "alexnet")
    assert (response.mine, response.theirs) == (Best("P3", 50.0), Best("P3", 100.0))


def test_over_all_models_the_geometric_mean_is_taken_within_repeats() -> None:
    measured = collect(rows(**{EVERYTHING.name: 2.0}), pickled())
    for by_split in (measured.values[p][PICKLE] for p in measured.values if p.model == "resnet18"):
        for repeats in by_split.values():
            for repeat in repeats:
                repeats[repeat] *= 4.0
    over_all = only(contrasts(measured), EVERYTHING_ON, "lan", "throughput", EVERY_MODEL)
    assert over_all.ratio.value == pytest.approx(math.sqrt(6.0 * 1.5))
    assert over_all.mine is None


def test_a_ratio_needs_a_repeat_of_both() -> None:
    found = contrasts(collect(rows(), [one for one in pickled() if one.repeat == 2]))
    assert set(only(found, EQUAL_NUMERICS, "lan", "throughput", "alexnet").by_repeat) == {2}
    assert not [c for c in contrasts(collect(rows(), [])) if c.pairing.second == PICKLE]


def test_failed_runs_and_strangers_are_left_out() -> None:
    failed = [msgspec.structs.replace(one, status="failed") for one in rows()]
    assert contrasts(collect(failed, pickled(status="failed", reason="x"))) == []
    strange = [msgspec.structs.replace(one, engine="onnxruntime") for one in rows() if not one.split.startswith("only")]
    assert collect(strange, []).values == {}


def test_bounds_are_those_of_the_best_split() -> None:
    near = [
        msgspec.structs.replace(one, throughput_efficiency=0.9 if one.split == "P6" else 0.5, latency_efficiency=0.97)
        for one in rows()
    ]
    found = contrasts(collect(near, []))
    bound = next(pairing for pairing in PAIRINGS if not pairing.second)
    assert only(found, bound, "lan", "throughput", "alexnet").ratio.value == pytest.approx(0.9)
    assert only(found, bound, "lan", "response", "alexnet").ratio.value == pytest.approx(0.97)
    assert not [c for c in contrasts(collect(rows(), [])) if not c.pairing.second], "rows without bounds have none"


def _contrast(value: float, low: float, high: float, **changes: Any) -> Contrast:
    ratio = Interval(value=value, low=low, high=high, basis="repeats")
    return Contrast(EQUAL_NUMERICS, "mbit100", "throughput", "alexnet", ratio, {0: value})._replace(**changes)


@pytest.mark.parametrize(
    ("value", "low", "high", "verdict"),
    [
        (2.0, 1.8, 2.2, "met"),
        (2.0, 1.6, 2.2, "met within noise"),
        (1.6, 1.5, 1.8, "missed within noise"),
        (1.5, 1.4, 1.6, "missed"),
        (2.0, math.nan, math.nan, "met within noise"),
        (1.0, math.nan, math.nan, "missed within noise"),
    ],
)
def test_a_verdict_needs_the_whole_interval(value: float, low: float, high: float, verdict: str) -> None:
    target = Target("", EQUAL_NUMERICS, "throughput", 1.7, network="mbit100")
    (judged,) = judge([_contrast(value, low, high)], [target])
    assert judged.verdict == verdict


def test_the_worst_of_several_decides_and_the_mean_over_models_is_none_of_them() -> None:
    target = Target("", EQUAL_NUMERICS, "throughput", 1.7)
    good, bad = _contrast(3.0, 2.9, 3.1), _contrast(1.0, 0.9, 1.1, model="resnet18", network="lan")
    mean = _contrast(0.1, 0.1, 0.1, model=EVERY_MODEL)
    (judged,) = judge([good, mean, bad], [target])
    assert (judged.verdict, judged.worst) == ("missed", bad)
    assert judge([], [target])[0].verdict == "not measured"


def test_targets_are_about_what_is_measured(found: list[Contrast]) -> None:
    verdicts = {one.target.text: one.verdict for one in judge(found)}
    assert len(verdicts) == len(TARGETS)
    assert verdicts["lan, everything on: throughput at least 2.5 times, geometric mean"] == "met"
    assert verdicts["5 Mbit/s, everything on: throughput at least 4 times, geometric mean"] == "missed"
    assert verdicts["equal numerics: response lower, each model and network"] == "met"
    assert verdicts["lan, everything on: throughput at least 4 times, MobileNetV2"] == "not measured"


def test_the_table_has_a_line_per_pairing_network_and_figure(found: list[Contrast]) -> None:
    assert models_of(found) == ["alexnet", "resnet18", EVERY_MODEL]
    lines = lines_of(found)
    pairings = [pairing for pairing in PAIRINGS if pairing.second]
    assert len(lines) == len(pairings) * 2 * 2
    assert lines[0][:3] == [EQUAL_NUMERICS.title, "lan", "throughput"]
    assert lines[0][3] == "3.00 [3.00, 3.00] (P6 / P6)"
    assert lines[0][5] == "3.00 [3.00, 3.00]"
    assert terminal_table(found).row_count == len(lines)


def test_markdown_holds_ratios_verdicts_and_figures(found: list[Contrast]) -> None:
    text = markdown(found, judge(found))
    assert f"| {EQUAL_NUMERICS.title} | lan | throughput | 3.00 [3.00, 3.00] (P6 / P6) |" in text
    assert "| pickle, eager | mbit5 | response, ms | 100 (P3) | 100 (P2) |" in text
    assert all(f"- {judged_text(one)}" in text for one in judge(found))
    widths = {line.count("|") for line in text.splitlines() if line.startswith("| TCP")}
    assert len(widths) == 1


def test_csv_has_every_ratio(found: list[Contrast]) -> None:
    lines = list(csv.reader(io.StringIO(as_csv(found))))
    assert tuple(lines[0]) == COLUMNS
    assert len(lines) == len(found) + 1
    assert all(len(line) == len(COLUMNS) for line in lines)
