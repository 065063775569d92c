"""A driver whose devices, shards and plays are made up."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stage_runtime.formats.cell import Cell
from stage_runtime.formats.row import Measurement, Row
from sweep.driver import sweep
from sweep.interrupt import Control
from sweep.journal import read_rows
from sweep.options import Options
from sweep.play_field import PlayField
from sweep.testbed import Testbed
from tests.sweep.support import FakePlays, Recorder, good, manifest, options, small_testbed


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make no shards and inputs; give the list of models that they were asked for."""
    models: list[str] = []

    def make_shards(_options: Options, model: str) -> Any:
        models.append(model)
        return manifest(model)

    monkeypatch.setattr("sweep.plan.make_shards", make_shards)
    monkeypatch.setattr("sweep.plan.make_inputs", lambda _options, _manifest: "inputs")
    monkeypatch.setattr("sweep.plan.make_reference", lambda _manifest, _inputs_id: None)
    monkeypatch.setattr("sweep.driver.control_provenance", lambda _checkout: {})
    return models


@dataclasses.dataclass
class Driver:
    """Run sweeps into one results folder."""

    results: Path
    plays: FakePlays
    testbed: Testbed
    screen: Recorder = dataclasses.field(default_factory=Recorder)
    control: Control = dataclasses.field(default_factory=Control)

    def __call__(self, measure: Callable[[Cell], Measurement | None] = lambda _cell: good(), **given: Any) -> int:
        """Sweep and return the exit status."""
        self.plays.measure = measure
        self.plays.measured.clear()
        self.plays.calls.clear()
        self.screen = Recorder()
        self.control = Control()
        return sweep(
            options(results=str(self.results), **given),
            self.testbed,
            self.screen,
            self.control,
            command=["sweep", "run"],
            field=PlayField(self.testbed, {"pi_venv_x": 1}),
        )

    @property
    def folder(self) -> Path:
        """The newest campaign's folder."""
        return max(self.results.iterdir(), key=lambda path: path.stat().st_mtime_ns)

    @property
    def rows(self) -> list[Row]:
        """The rows of the newest campaign."""
        return list(read_rows(self.folder / "journal.jsonl"))


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: list[str]) -> Driver:
    assert made == []
    plays = FakePlays()
    monkeypatch.setattr("sweep.play_field.run_play", plays)
    monkeypatch.setattr("sweep.prepare.run_play", plays)
    monkeypatch.setattr("sweep.leftovers.run_play", plays)
    monkeypatch.setattr("sweep.leftovers.WORK", tmp_path / "work")
    monkeypatch.setattr("sweep.driver.LOCKS", tmp_path / "locks")
    monkeypatch.setattr("sweep.lanes._PAUSE_S", 0.02)
    return Driver(tmp_path / "results", plays, small_testbed())
