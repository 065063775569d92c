"""From what stages noted to what a measurement says.  METHODOLOGY.md defines every figure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from stage_runtime.formats.row import HopFigures, Measurement, StageFigures
from stage_runtime.stage.clock import ClockEstimate
from stage_runtime.stage.pipeline import Pipeline, Timeline
from stage_runtime.stage.plan import StagePlan
from stage_runtime.telemetry.process import MemoryFigures
from stage_runtime.wire.messages import Figures

_NS_PER_MS = 1e6
# Past this share of the latency, the clocks' uncertainty deserves a word.
_UNCERTAIN_SHARE = 0.25


def median_ms(starts: Sequence[int], ends: Sequence[int]) -> float:
    """Give the median of the differences of two lists of nanoseconds, in milliseconds."""
    return statistics.median(end - start for start, end in zip(starts, ends, strict=True)) / _NS_PER_MS


def stage_figures(
    plan: StagePlan,
    pipeline: Pipeline,
    *,
    accelerator: str,
    threads: int,
    load_ms: float,
    memory: MemoryFigures,
) -> StageFigures:
    """Sum one stage up over its measured batches."""
    times, skip = pipeline.timeline, plan.cell.warmup
    begin, end = pipeline.marks
    gpu = pipeline.gpu_figures
    return StageFigures(
        stage=plan.stage,
        device=plan.mine.device,
        first=plan.mine.first,
        last=plan.mine.last,
        accelerator=accelerator,
        threads=threads,
        load_ms=load_ms,
        compute_ms=median_ms(times.started[skip:], times.computed[skip:]),
        queue_ms=median_ms(times.received[skip:], times.started[skip:]),
        receive_ms=median_ms(times.first_byte[skip:], times.received[skip:]),
        send_ms=median_ms(times.send_started[skip:], times.sent[skip:]) if len(plan.cell.stages) > 1 else 0.0,
        cpu_percent=begin.percent_until(end),
        rss_mb=memory.rss_mb,
        memory_percent=memory.percent,
        available_memory_mb=memory.available_mb,
        gpu_utilisation_percent=gpu.utilisation_percent if gpu else None,
        gpu_memory_mb=gpu.memory_mb if gpu else None,
    )


def join_figures(
    plan: StagePlan,
    times: Timeline,
    mine: StageFigures,
    warnings: tuple[str, ...],
    below: tuple[Figures, ClockEstimate, int] | None,
) -> Figures:
    """Put a stage's own figures before those that came from ``below``: (figures, clock, bytes per batch)."""
    skip = plan.cell.warmup
    if below is None:
        return Figures(
            stages=(mine,),
            hops=(),
            received_ns=tuple(times.received[skip:]),
            computed_ns=tuple(times.computed[skip:]),
            offset_ns=0,
            uncertainty_ns=0,
            warnings=warnings,
        )
    figures, clock, frame_bytes = below
    return Figures(
        stages=(mine, *figures.stages),
        hops=(_hop(plan, times, figures, clock, frame_bytes), *figures.hops),
        received_ns=tuple(times.received[skip:]),
        computed_ns=figures.computed_ns,
        offset_ns=clock.offset + figures.offset_ns,
        uncertainty_ns=clock.uncertainty + figures.uncertainty_ns,
        warnings=warnings + figures.warnings,
    )


def _hop(plan: StagePlan, times: Timeline, below: Figures, clock: ClockEstimate, frame_bytes: int) -> HopFigures:
    arrived = [instant - clock.offset for instant in below.received_ns]
    return HopFigures(
        hop=plan.stage,
        source=plan.mine.device,
        target=plan.cell.stages[plan.stage + 1].device,
        bytes=frame_bytes,
        transfer_ms=median_ms(times.send_started[plan.cell.warmup :], arrived),
        offset_ms=clock.offset / _NS_PER_MS,
        offset_uncertainty_ms=clock.uncertainty / _NS_PER_MS,
        rtt_ms=clock.round_trip / _NS_PER_MS,
    )


def measurement(plan: StagePlan, taken: Sequence[int], back: Sequence[int], figures: Figures) -> Measurement:
    """Sum a run up; ``taken`` and ``back`` are the first stage's instants of every batch, warm-up included."""
    cell, skip = plan.cell, plan.cell.warmup
    responses = [(end - start) / _NS_PER_MS for start, end in zip(taken, back, strict=True)]
    latencies = [
        (computed - figures.offset_ns - start) / _NS_PER_MS
        for start, computed in zip(taken[skip:], figures.computed_ns, strict=True)
    ]
    latency = statistics.median(latencies)
    uncertainty = figures.uncertainty_ns / _NS_PER_MS
    warnings = figures.warnings
    if uncertainty > _UNCERTAIN_SHARE * latency:
        warnings += (f"latency_ms rests on clock offsets known to within {uncertainty:.1f} ms; response_ms does not",)
    return Measurement(
        status="ok",
        latency_ms=latency,
        response_ms=statistics.median(responses[skip:]),
        throughput_ips=throughput_ips(back[skip:], responses[-1], cell.batch, cell.window),
        batch_latency_ms=tuple(latencies),
        batch_response_ms=tuple(responses[skip:]),
        warmup_response_ms=tuple(responses[:skip]),
        stages=figures.stages,
        hops=figures.hops,
        warnings=warnings,
        measuring_s=(back[-1] - taken[0]) / 1e9,
    )


def throughput_ips(back: Sequence[int], last_response_ms: float, batch: int, window: int) -> float:
    """Give images per second from when results came ``back`` (ns), over the longest stretch of whole windows.

    On a link with much delay results come in bursts, one window each round trip; a stretch that begins or
    ends within a burst would count the burst but not the pause.  With no more results than a window
    there is no such stretch, and all of them count; of a single batch, its response does.
    """
    if len(back) == 1:
        return batch / (last_response_ms / 1e3)
    results = (len(back) - 1) // window * window or len(back) - 1
    return batch * results / ((back[-1] - back[-1 - results]) / 1e9)
