"""What a run's telemetry says, of a machine whose counts are known."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from stage_runtime.telemetry import gpu
from stage_runtime.telemetry.groups import Roots
from stage_runtime.telemetry.recorder import Recorder
from tests.stage_runtime.telemetry.machines import Machine
from tests.stage_runtime.telemetry.test_gpu import Nvml


def recorded(on: Machine, **counts: int) -> tuple[Recorder, float]:
    """Record an interval in which these counts grow; also give the greatest length it can have had, ms."""
    recorder = Recorder("cpu", on.roots)
    begin = time.perf_counter()
    recorder.begin()
    on.count(**counts)
    time.sleep(0.02)
    recorder.end()
    return recorder, 1e3 * (time.perf_counter() - begin)


@pytest.mark.parametrize("version", [1, 2])
def test_a_virtual_devices_figures_are_its_groups(tmp_path: Path, version: int) -> None:
    machine = Machine(tmp_path, version)
    machine.file("class/thermal/thermal_zone0/type", "cpu-thermal\n")
    machine.file("class/thermal/thermal_zone0/temp", "50000\n")
    machine.file("devices/system/cpu/cpu0/cpufreq/scaling_governor", "ondemand\n")
    recorder, elapsed_ms = recorded(machine, machine=90, stolen=10, pages=256, device=100, waits=60)
    figures = recorder.figures()
    device, throttled, waited = figures.device_cpu_percent, figures.quota_throttled_percent, figures.waited_percent
    assert device is not None
    assert device >= 100 * 100 / elapsed_ms
    # half of it throttled; the thread that waited most did so for 120 ms, 50 of them throttled
    assert throttled == pytest.approx(device / 2)
    assert waited == pytest.approx(device * 0.7)
    assert figures.stolen_percent == pytest.approx(10.0)
    assert figures.swapped_mb is not None
    assert figures.swapped_mb >= 2.0
    assert (figures.temperature_c, figures.governor, figures.throttled) == (50.0, "ondemand", ())
    assert figures.gpu_energy_j is None
    assert figures.sampler_percent is not None
    assert figures.sampler_percent > 0


def test_a_machine_that_shows_nothing_has_no_figures_but_its_process(tmp_path: Path) -> None:
    recorder = Recorder("cpu", Roots(proc=tmp_path, sys=tmp_path))
    recorder.begin()
    recorder.end()
    figures = recorder.figures()
    assert figures.device_cpu_percent is figures.stolen_percent is figures.swapped_mb is None
    assert figures.quota_throttled_percent is figures.waited_percent is figures.temperature_c is None
    assert figures.rss_mb > 0
    assert figures.device_memory_percent is not None
    assert 0 < figures.device_memory_percent <= 100


def test_this_machines_use_is_at_least_this_process() -> None:
    recorder = Recorder("cpu")
    recorder.begin()
    end = time.perf_counter() + 0.3
    while time.perf_counter() < end:
        pass
    recorder.end()
    figures = recorder.figures()
    assert figures.cpu_percent > 0
    if figures.device_cpu_percent is not None:
        # counted in ticks of 10 ms
        assert figures.device_cpu_percent > 0.5 * figures.cpu_percent


@pytest.mark.parametrize("stop_first", [False, True])
def test_a_run_that_fails_leaves_no_sampler_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, stop_first: bool
) -> None:
    monkeypatch.setattr(gpu, "_handle", lambda _: (Nvml(counts_energy=True), "handle"))
    recorder = Recorder("cuda:0", Roots(proc=tmp_path, sys=tmp_path))
    # the run may fail before its sending thread is at the begin of what is measured
    for act in (recorder.stop, recorder.begin) if stop_first else (recorder.begin, recorder.stop):
        act()
    sampler = recorder._gpu._thread
    assert sampler is not None
    sampler.join(10.0)
    assert not sampler.is_alive()
