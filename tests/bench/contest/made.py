"""Rows and cells that are made up, for tests of the contest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.contest.baseline import BaselineRow
from bench.contest.sides import CHAIN, Contest, choose_splits
from stage_runtime.formats.cell import Cell
from stage_runtime.formats.row import Row
from sweep.condition import make_row
from sweep.matrix import Run, plan_matrix
from sweep.testbed import Testbed
from tests.sweep.support import FakePlays, cell_of, good, manifest, small_testbed

POINTS = {"mobilenet_v2": tuple(range(1, 19)), "resnet18": tuple(range(1, 9)), "alexnet": tuple(range(1, 13))}
NETWORKS = ("lan", "mbit100", "mbit5")


def contest(**changes: Any) -> Contest:
    fields: dict[str, Any] = {
        "splits": choose_splits(("mobilenet_v2", "resnet18", "alexnet"), NETWORKS),
        "batch": 8,
        "repeats": 2,
        "cell_s": 4.0,
        "results": "/nowhere",
        "fresh": False,
    }
    return Contest(**(fields | changes))


def bench_testbed() -> Testbed:
    return small_testbed(
        chains={CHAIN: ("v1", "v2")},
        networks={"lan": {"rate_mbit": 1000}, "mbit100": {"rate_mbit": 100}, "mbit5": {"rate_mbit": 5}},
    )


def planned_runs(one: Contest) -> list[Run]:
    plans = plan_matrix(one.options(), bench_testbed(), POINTS, {}, one.keep())
    return [run for plan in plans for run in plan.runs]


def planned_cells(one: Contest) -> list[Cell]:
    return [cell_of(run, bench_testbed()) for run in planned_runs(one)]


def row(cell: Cell, **figures: Any) -> Row:
    return make_row("c", cell, good(**figures), weights="seeded:0", links=(), warnings=())


def baseline_row(**changes: Any) -> BaselineRow:
    fields: dict[str, Any] = {
        "model": "alexnet",
        "network": "lan",
        "split": "P6",
        "batch": 8,
        "one_in_flight": False,
        "repeat": 0,
        "status": "ok",
        "started": "",
        "throughput_ips": 10.0,
    }
    return BaselineRow(**(fields | changes))


def make_nothing(monkeypatch: pytest.MonkeyPatch, plays: FakePlays, folder: Path) -> None:
    """Have a sweep make no shards, inputs or graphs, run made-up plays, and keep its locks in a folder of its own."""
    monkeypatch.setattr("sweep.plan.make_shards", lambda _options, model: manifest(model))
    monkeypatch.setattr("sweep.plan.make_inputs", lambda _options, _manifest: "inputs")
    for name in ("make_graphs", "make_reference"):
        monkeypatch.setattr(f"sweep.plan.{name}", lambda _manifest, _what: None)
    monkeypatch.setattr("sweep.driver.control_provenance", lambda _checkout: {})
    monkeypatch.setattr("sweep.play_field.run_play", plays)
    monkeypatch.setattr("sweep.prepare.run_play", plays)
    monkeypatch.setattr("sweep.leftovers.run_play", plays)
    monkeypatch.setattr("sweep.leftovers.WORK", folder / "work")
    monkeypatch.setattr("sweep.driver.LOCKS", folder / "locks")
