"""Telemetry of one run.

What the kernel counts is read where the measured interval begins and where it ends, so nothing runs in
between but, on a GPU, a thread that asks NVML four times a second.  What cannot change the interval's
figures (memory, the governor, what ``vcgencmd`` says) is read before it or after it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from stage_runtime.telemetry.counters import Counters, DeviceCounters
from stage_runtime.telemetry.figures import TelemetryFigures
from stage_runtime.telemetry.gpu import GpuFigures, GpuSampler
from stage_runtime.telemetry.groups import Roots
from stage_runtime.telemetry.process import ProcessorMark, memory_figures
from stage_runtime.telemetry.sensors import TemperatureSensor, read_governor
from stage_runtime.telemetry.throttling import ThrottleWatch

_MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class _Mark:
    """One end of the interval, and the processor time that it took to mark it."""

    processor: ProcessorMark
    counters: Counters
    temperature_c: float | None
    cost_ns: int


class Recorder:
    """Records what a run on ``accelerator`` takes of its device, from ``begin`` to ``end``."""

    def __init__(self, accelerator: str, roots: Roots | None = None) -> None:
        self._roots = roots or Roots()
        self._gpu = GpuSampler(accelerator)
        self._counters = DeviceCounters(self._roots)
        self._sensor = TemperatureSensor(self._roots)
        self._throttling = ThrottleWatch(self._roots)
        self._marks: list[_Mark] = []
        self._gpu_figures: GpuFigures | None = None

    def begin(self) -> None:
        """Mark the begin of the measured interval; the marking itself is before it."""
        start = time.thread_time_ns()
        counters, temperature = self._counters.read(), self._sensor.read_c()
        self._gpu.start()
        processor = ProcessorMark.now()
        self._add(processor, counters, temperature, start)

    def end(self) -> None:
        """Mark its end; the marking itself is after it."""
        start = time.thread_time_ns()
        processor = ProcessorMark.now()
        counters, temperature = self._counters.read(), self._sensor.read_c()
        self._gpu_figures = self._gpu.stop()
        self._add(processor, counters, temperature, start)

    def stop(self) -> None:
        """Sample no more, whether there was an end or not; harmless when there was."""
        self._gpu.stop()

    def figures(self) -> TelemetryFigures:
        """Sum up; memory and governor are those of now."""
        begin, end = self._marks
        memory, gpu = memory_figures(), self._gpu_figures
        elapsed_ns = max(1, end.processor.at_ns - begin.processor.at_ns)
        sampler_ns = begin.cost_ns + end.cost_ns + (gpu.sampler_ns if gpu else 0)
        heat = [each for each in (begin.temperature_c, end.temperature_c) if each is not None]
        swapped = _grown(begin.counters.swapped_bytes, end.counters.swapped_bytes)
        return TelemetryFigures(
            cpu_percent=begin.processor.percent_until(end.processor),
            rss_mb=memory.rss_mb,
            memory_percent=memory.percent,
            available_memory_mb=memory.available_mb,
            gpu_utilisation_percent=gpu.utilisation_percent if gpu else None,
            gpu_memory_mb=gpu.memory_mb if gpu else None,
            gpu_energy_j=gpu.energy_j if gpu else None,
            device_cpu_percent=_percent(_grown(begin.counters.busy_ns, end.counters.busy_ns), elapsed_ns),
            device_memory_percent=memory.device_percent,
            temperature_c=gpu.temperature_c if gpu else max(heat, default=None),
            throttled=self._throttling.seen() + (gpu.throttled if gpu else ()),
            governor=read_governor(self._roots),
            stolen_percent=_stolen(begin.counters, end.counters),
            swapped_mb=None if swapped is None else swapped / _MIB,
            quota_throttled_percent=_percent(
                _grown(begin.counters.throttled_ns, end.counters.throttled_ns), elapsed_ns
            ),
            waited_percent=_waited(begin.counters, end.counters, elapsed_ns),
            sampler_percent=100.0 * sampler_ns / elapsed_ns,
        )

    def _add(self, processor: ProcessorMark, counters: Counters, temperature: float | None, start_ns: int) -> None:
        cost = time.thread_time_ns() - start_ns
        self._marks.append(_Mark(processor=processor, counters=counters, temperature_c=temperature, cost_ns=cost))


def _grown(begin: int | None, end: int | None) -> int | None:
    return None if begin is None or end is None else max(0, end - begin)


def _percent(part_ns: int | None, whole_ns: int) -> float | None:
    return None if part_ns is None else 100.0 * part_ns / whole_ns


def _stolen(begin: Counters, end: Counters) -> float | None:
    """Give the share of the processor time that the machine wanted and its hypervisor withheld."""
    stolen, used = _grown(begin.stolen_ns, end.stolen_ns), _grown(begin.machine_ns, end.machine_ns)
    return None if stolen is None or used is None else _percent(stolen, max(1, stolen + used))


def _waited(begin: Counters, end: Counters, elapsed_ns: int) -> float | None:
    """Give the waiting of the thread that waited most, as far as the device's own quota does not explain it."""
    grown = [waited - begin.waited_ns.get(thread, 0) for thread, waited in end.waited_ns.items()]
    if not grown:
        return None
    throttled = _grown(begin.throttled_ns, end.throttled_ns) or 0
    return _percent(max(0, max(grown) - throttled), elapsed_ns)
