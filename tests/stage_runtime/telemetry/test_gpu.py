"""The GPU's figures from an NVML that was made up; none was at hand."""

from __future__ import annotations

import itertools
import time

import pytest

from stage_runtime.telemetry import gpu
from stage_runtime.telemetry.gpu import GpuSampler


class NVMLError(Exception):
    pass


class Utilization:
    def __init__(self, percent: int) -> None:
        self.gpu = percent


class Memory:
    def __init__(self, used: int) -> None:
        self.used = used


class Nvml:
    """A GPU that draws 100 W, and may count its energy."""

    NVMLError = NVMLError
    NVML_TEMPERATURE_GPU = 0

    def __init__(self, *, counts_energy: bool) -> None:
        self._counts_energy = counts_energy
        self._energy = itertools.count(1_000_000, 2_500)
        self._use = itertools.cycle([20, 40])
        self.asked = 0

    def nvmlDeviceGetUtilizationRates(self, _: str) -> Utilization:  # noqa: N802 - NVML's name
        self.asked += 1
        return Utilization(next(self._use))

    def nvmlDeviceGetMemoryInfo(self, _: str) -> Memory:  # noqa: N802 - NVML's name
        return Memory(3 * 2**20)

    def nvmlDeviceGetTemperature(self, _: str, sensor: int) -> int:  # noqa: N802 - NVML's name
        assert sensor == self.NVML_TEMPERATURE_GPU
        return 71

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, _: str) -> int:  # noqa: N802 - NVML's name
        return 0x21  # idle, and too hot

    def nvmlDeviceGetPowerUsage(self, _: str) -> int:  # noqa: N802 - NVML's name
        return 100_000

    def nvmlDeviceGetTotalEnergyConsumption(self, _: str) -> int:  # noqa: N802 - NVML's name
        if not self._counts_energy:
            raise NVMLError
        return next(self._energy)


@pytest.mark.parametrize("counts_energy", [True, False])
def test_a_gpu_is_sampled(monkeypatch: pytest.MonkeyPatch, *, counts_energy: bool) -> None:
    nvml = Nvml(counts_energy=counts_energy)
    monkeypatch.setattr(gpu, "_handle", lambda _: (nvml, "handle"))
    monkeypatch.setattr(gpu, "_PERIOD_S", 0.02)
    sampler = GpuSampler("cuda:0")
    begin = time.perf_counter()
    sampler.start()
    while nvml.asked < 3 and time.perf_counter() - begin < 10:
        time.sleep(0.01)
    figures = sampler.stop()
    elapsed = time.perf_counter() - begin
    assert figures is not None
    assert 20 < figures.utilisation_percent < 40
    assert (figures.memory_mb, figures.temperature_c, figures.throttled) == (3.0, 71.0, ("GPU too hot",))
    assert figures.sampler_ns > 0
    assert figures.energy_j is not None
    if counts_energy:
        assert figures.energy_j == 2.5
    else:
        assert 0 < figures.energy_j <= 100 * elapsed


def test_without_a_gpu_nothing_is_sampled() -> None:
    sampler = GpuSampler("cpu")
    sampler.start()
    assert sampler.stop() is None


def test_an_nvml_that_stops_answering_gives_what_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Nvml):
        def nvmlDeviceGetMemoryInfo(self, _: str) -> Memory:  # noqa: N802 - NVML's name
            raise NVMLError

    monkeypatch.setattr(gpu, "_handle", lambda _: (Broken(counts_energy=True), "handle"))
    sampler = GpuSampler("cuda:0")
    sampler.start()
    assert sampler.stop() is None
