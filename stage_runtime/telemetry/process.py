"""The processor and memory use of this process."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil

from stage_runtime.telemetry.limits import read_limits

_MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class ProcessorMark:
    """An instant, and the processor time used up to it by all threads of this process."""

    at_ns: int
    used_ns: int

    @classmethod
    def now(cls) -> ProcessorMark:
        """Take a mark (a microsecond's work)."""
        return cls(at_ns=time.perf_counter_ns(), used_ns=time.process_time_ns())

    def percent_until(self, later: ProcessorMark) -> float:
        """Give the use between two marks, where 100 is one core."""
        elapsed = later.at_ns - self.at_ns
        return 100.0 * (later.used_ns - self.used_ns) / elapsed if elapsed > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class MemoryFigures:
    """What this process holds, its share of the device's memory and everybody's in percent, and what is left."""

    rss_mb: float
    percent: float
    available_mb: float
    device_percent: float


def memory_figures() -> MemoryFigures:
    """Measure; a device with a memory limit is as large as the limit."""
    machine = psutil.virtual_memory()
    total, available = machine.total, machine.available
    limits = read_limits()
    if limits.memory_bytes is not None and limits.memory_used_bytes is not None:
        total = min(total, limits.memory_bytes)
        available = min(available, max(0, limits.memory_bytes - limits.memory_used_bytes))
    held = psutil.Process().memory_info().rss
    return MemoryFigures(
        rss_mb=held / _MIB,
        percent=100.0 * held / total,
        available_mb=available / _MIB,
        device_percent=100.0 * max(0, total - available) / total,
    )
