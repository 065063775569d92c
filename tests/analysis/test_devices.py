"""The devices' telemetry, taken together."""

from __future__ import annotations

import math

from analysis.compute import Analysis
from analysis.devices import FIGURES, KEYS, devices_frame
from analysis.frame import stages_frame


def test_each_device_has_the_median_of_its_stages(analysis_of_both: Analysis) -> None:
    runs = analysis_of_both.runs
    found = devices_frame(runs)
    stages = stages_frame(runs[runs["status"] == "ok"])
    assert found["runs"].sum() == len(stages)
    for line in found.to_dict("records"):
        own = stages
        for key in KEYS:
            own = own[own[key] == line[key]]
        assert line["runs"] == len(own) > 0
        assert line["cpu_percent"] == own["cpu_percent"].median()
        assert math.isnan(line["gpu_energy_j"])
    assert not found.duplicated(list(KEYS)).any()


def test_without_an_ok_run_there_is_no_line(analysis_of_both: Analysis) -> None:
    found = devices_frame(analysis_of_both.runs.assign(status="failed"))
    assert found.empty
    assert list(found.columns) == [*KEYS, "runs", *FIGURES]
