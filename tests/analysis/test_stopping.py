"""Stopping at a narrow interval: when, and what it costs the coverage."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.coverage import DRIFTS
from analysis.intervals import relative_half_width
from analysis.stopping import main, runs_until_settled, simulate


def test_runs_stop_at_the_first_narrow_interval_from_the_least_on() -> None:
    steady = np.array([[10.0], [10.1], [10.0], [10.1], [10.0]])
    assert [runs_until_settled(steady, least) for least in (2, 3, 5)] == [3, 3, 5]
    assert relative_half_width(list(steady[:2])) > 0.05 >= relative_half_width(list(steady[:3]))
    wild = np.array([[10.0], [20.0], [10.0], [20.0]])
    assert runs_until_settled(wild, 2) == 4


def test_a_small_least_number_covers_less_than_a_greater_one() -> None:
    drifts = {name: DRIFTS[name] for name in ("normal, 1 %", "normal, 5 %")}
    found = {(one.drift, one.least): one for one in simulate(300, 1, least=(2, 5), drifts=drifts)}
    drifting = found["normal, 5 %", 2], found["normal, 5 %", 5]
    assert drifting[0].covered < drifting[1].covered
    assert drifting[0].runs < drifting[1].runs
    quiet = found["normal, 1 %", 5]
    assert quiet.runs == pytest.approx(5, abs=0.1)
    assert quiet.at_limit == 0


def test_the_command_prints_a_line_per_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--trials", "5"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 12
