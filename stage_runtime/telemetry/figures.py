"""What telemetry says of one stage over its measured interval."""

from __future__ import annotations

import msgspec


class TelemetryFigures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of ``StageFigures`` that are not timed batch by batch, under the same names."""

    cpu_percent: float
    rss_mb: float
    memory_percent: float
    available_memory_mb: float
    gpu_utilisation_percent: float | None = None
    gpu_memory_mb: float | None = None
    gpu_energy_j: float | None = None
    device_cpu_percent: float | None = None
    device_memory_percent: float | None = None
    temperature_c: float | None = None
    throttled: tuple[str, ...] = ()
    governor: str | None = None
    stolen_percent: float | None = None
    swapped_mb: float | None = None
    quota_throttled_percent: float | None = None
    waited_percent: float | None = None
    sampler_percent: float | None = None
