"""Estimates: exact for bytes, rough for compute, and better with every row."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sweep.estimate import REFERENCE_MS, Estimator
from sweep.matrix import PlannedCell, Run, plan_matrix
from sweep.settling import Span
from tests.sweep.support import bad, device, manifest, options, row_of, small_testbed, stage_figures

FAST = {name: device(name, cpus=4.0) for name in ("v1", "v2", "v3")}
TESTBED = small_testbed(devices=FAST)
MANIFESTS = {"alexnet": manifest("alexnet")}


def runs(**given: Any) -> list[Run]:
    points = {model: tuple(range(1, 13)) for model in ("alexnet", "vgg16")}
    return [run for plan in plan_matrix(options(**given), TESTBED, points, {}) for run in plan.runs]


def cell(split: str, **given: Any) -> PlannedCell:
    return next(run.cell for run in runs(splits="all", **given) if run.cell.split == split)


def estimator(**changes: Any) -> Estimator:
    return Estimator(small_testbed(devices=FAST, **changes), MANIFESTS)


def test_the_bytes_over_the_link_are_exact() -> None:
    networks = {"free": {}, "slow": {"rate_mbit": 5}}
    found = estimator(networks=networks)
    given = {"networks": "lan", "window": 1, "batch": 8, "batches": 4, "warmup": 1}
    one = cell("P1", **given)
    slower = found.cell_s(renamed(one, "slow")) - found.cell_s(renamed(one, "free"))
    assert slower == pytest.approx(5 * 8 * 4000 * 8 / 5e6)
    sent = cell("only:v2", **given)
    slower = found.cell_s(renamed(sent, "slow")) - found.cell_s(renamed(sent, "free"))
    assert slower == pytest.approx(5 * 8 * 602112 * 8 / 5e6), "the input is what is sent to the other device"
    alone = cell("only:v1", **given)
    assert found.cell_s(renamed(alone, "slow")) == found.cell_s(renamed(alone, "free"))


def renamed(one: PlannedCell, network: str) -> PlannedCell:
    return msgspec.structs.replace(one, network=network)


def test_delay_counts_there_and_back_for_every_batch() -> None:
    found = estimator(networks={"free": {}, "far": {"delay_ms": 100}})
    one = cell("P1", batches=9, warmup=1)
    longer = found.cell_s(renamed(one, "far")) - found.cell_s(renamed(one, "free"))
    assert longer == pytest.approx((10 + 4 + 2) * 0.2)


def test_a_window_overlaps_what_one_batch_alone_does_in_turn() -> None:
    found = estimator()
    by_window = [found.cell_s(cell("P6", window=window, batches=65)) for window in (1, 2, 4, 64)]
    assert by_window == sorted(by_window, reverse=True)
    assert by_window[0] > by_window[1]


def test_compute_starts_from_the_reference_and_the_quota() -> None:
    quick = Estimator(small_testbed(devices={**FAST, "v1": device("v1", cpus=1.0)}), MANIFESTS)
    slow = Estimator(small_testbed(devices={**FAST, "v1": device("v1", cpus=0.25)}), MANIFESTS)
    one = cell("only:v1", batch=1, batches=2, warmup=1)
    compute_ms = REFERENCE_MS["alexnet"]
    rounds_ms = 2 * ((300 + 4 * compute_ms) - 6 * (compute_ms + 10))
    assert slow.cell_s(one) - quick.cell_s(one) == pytest.approx((3 * 3 * compute_ms + rounds_ms) / 1e3)
    assert "rough" in quick.basis


def test_a_model_without_a_reference_is_taken_by_its_parameters() -> None:
    testbed = small_testbed(devices=FAST)
    model = {"other": msgspec.structs.replace(manifest("alexnet", megabytes=10.0), model="other")}
    one = msgspec.structs.replace(cell("only:v1", batch=1), model="other")
    bigger = {"other": msgspec.structs.replace(manifest("alexnet", megabytes=20.0), model="other")}
    assert Estimator(testbed, bigger).cell_s(one) > Estimator(testbed, model).cell_s(one) > 0


def test_rows_replace_the_reference() -> None:
    found = estimator()
    run = next(run for run in runs(batch=2) if run.cell.split == "only:v1")
    row = msgspec.structs.replace(row_of(run, TESTBED), stages=(stage_figures("v1", 0, 13, 1000.0),))
    found.learn(row)
    assert found.basis == "cells measured before"
    one = cell("only:v1", batch=1, batches=2, warmup=1)
    assert found.cell_s(one) == pytest.approx(0.6 + 3 * 0.5 + 2 * 0.5), "alone it computes once in each round"
    assert Estimator(TESTBED, MANIFESTS, [row]).cell_s(one) == found.cell_s(one)


def test_an_engine_is_estimated_from_its_own_rows() -> None:
    found = estimator()
    (run,) = [run for run in runs(engine="onnxruntime") if run.cell.split == "P1"]
    found.learn(msgspec.structs.replace(row_of(run, TESTBED), stages=(stage_figures("v1", 0, 13, 8 * 3.0),)))
    given = {"batch": 1, "batches": 2, "warmup": 1}
    fast, plain = cell("only:v1", engine="onnxruntime", **given), cell("only:v1", **given)
    assert found.cell_s(fast) == pytest.approx(0.6 + 3 * 0.003 + 2 * 6 * 0.013)
    assert found.cell_s(plain) == estimator().cell_s(plain)


def test_part_of_a_model_is_scaled_to_the_whole() -> None:
    found = estimator()
    run = runs()[0]
    half = stage_figures("v1", 0, 6, 8 * 60.0)
    empty = stage_figures("v2", 6, 6, 5.0)
    found.learn(msgspec.structs.replace(row_of(run, TESTBED), stages=(half, empty)))
    one = cell("only:v1", batch=1, batches=2, warmup=1)
    assert found.cell_s(one) == pytest.approx(0.6 + 3 * 0.130 + 2 * (0.3 + 0.130))


def test_rows_that_failed_or_are_of_other_models_teach_nothing() -> None:
    found = estimator()
    run = runs()[0]
    found.learn(msgspec.structs.replace(row_of(run, TESTBED, bad()), stages=(stage_figures("v1", 0, 13, 9e9),)))
    other = msgspec.structs.replace(row_of(run, TESTBED), model="vgg16", stages=(stage_figures("v1", 0, 13, 9e9),))
    found.learn(other)
    assert "rough" in found.basis


def test_the_limit_is_never_short_and_grows_with_the_cell() -> None:
    found = estimator()
    quick, long = cell("only:v1", batch=1), cell("only:v1", batch=1, batches=10000)
    assert found.limit_s(quick) == 60.0
    assert found.limit_s(long) == pytest.approx(6 * found.cell_s(long))
    assert found.limit_s(long) > 60.0


def test_batches_are_as_many_as_fit_and_never_fewer_than_three() -> None:
    found = estimator()
    one = cell("P6", batches=100, warmup=2)
    assert found.batches(one, 0.0) == 100
    assert found.batches(one, 1e6) == 100
    assert found.batches(one, 1e-3) == 3
    fitting = [found.batches(one, limit) for limit in (1.0, 2.0, 4.0, 8.0)]
    assert fitting == sorted(fitting)
    assert 3 < fitting[1] < fitting[2] < 100
    one_more = found.cell_s(msgspec.structs.replace(one, batches=101)) - found.cell_s(one)
    beside = found.cell_s(one) - 102 * one_more  # the rounds alone are not limited
    for limit, batches in zip((2.0, 4.0), fitting[1:], strict=False):
        shorter = msgspec.structs.replace(one, batches=batches)
        assert found.cell_s(shorter) == found.cell_s(one, limit)
        assert found.cell_s(shorter) - beside <= limit < found.cell_s(shorter) - beside + 2 * one_more
    assert found.batches(msgspec.structs.replace(one, batches=2), 1e-3) == 2, "never more than were asked for"


def test_a_cell_that_takes_no_time_by_estimate_is_no_division_by_zero() -> None:
    nothing = {"tiny": msgspec.structs.replace(manifest("alexnet", megabytes=0.0), model="tiny")}
    one = msgspec.structs.replace(cell("only:v1"), model="tiny")
    assert Estimator(TESTBED, nothing).batches(one, 15.0) == one.batches


def test_a_condition_is_its_overhead_and_its_cells_as_often_as_they_are_left() -> None:
    found = estimator()
    one, two = (run.cell for run in runs()[:2])
    nothing = found.condition_s([], lambda _cell: Span(1, 1))
    assert nothing.least == nothing.most > 0
    least, most = found.condition_s([one, two], {one.cell_id: Span(0, 2), two.cell_id: Span(3, 10)}.__getitem__)
    assert least - nothing.least == pytest.approx(3 * found.cell_s(two))
    assert most - nothing.most == pytest.approx(2 * found.cell_s(one) + 10 * found.cell_s(two))
