"""Telemetry of one run: a mark where the measured interval begins, a mark where it ends."""

from __future__ import annotations

from stage_runtime.telemetry.figures import TelemetryFigures
from stage_runtime.telemetry.gpu import GpuFigures, GpuSampler
from stage_runtime.telemetry.process import ProcessorMark, memory_figures


class Recorder:
    """Records what a run on ``accelerator`` takes of its device, from ``begin`` to ``end``."""

    def __init__(self, accelerator: str) -> None:
        self._gpu = GpuSampler(accelerator)
        self._marks: list[ProcessorMark] = []
        self._gpu_figures: GpuFigures | None = None

    def begin(self) -> None:
        """Mark the begin of the measured interval."""
        self._gpu.start()
        self._marks.append(ProcessorMark.now())

    def end(self) -> None:
        """Mark its end."""
        self._marks.append(ProcessorMark.now())
        self._gpu_figures = self._gpu.stop()

    def figures(self) -> TelemetryFigures:
        """Sum up; memory is that of now."""
        begin, end = self._marks
        memory, gpu = memory_figures(), self._gpu_figures
        return TelemetryFigures(
            cpu_percent=begin.percent_until(end),
            rss_mb=memory.rss_mb,
            memory_percent=memory.percent,
            available_memory_mb=memory.available_mb,
            gpu_utilisation_percent=gpu.utilisation_percent if gpu else None,
            gpu_memory_mb=gpu.memory_mb if gpu else None,
        )
