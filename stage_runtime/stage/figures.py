"""From what stages noted to what a measurement says.  METHODOLOGY.md defines every figure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

from stage_runtime.formats.cell import Cell
from stage_runtime.formats.row import HopFigures, Measurement, StageFigures, StageSamples
from stage_runtime.stage.clock import ClockLine, fit
from stage_runtime.stage.percentiles import percentile
from stage_runtime.stage.pulse import MOST_EVERY_S
from stage_runtime.stage.stability import judge
from stage_runtime.stage.warmup import count_discarded
from stage_runtime.wire.messages import Figures, StageReport

_NS_PER_MS = 1e6
# Past this share of the latency, the clocks' uncertainty deserves a word.
_UNCERTAIN_SHARE = 0.25
# A neighbour that lives is heard about once in this time; past three of them something was in the way.
_MOST_SILENCE_MS = 3e3 * MOST_EVERY_S


def measurement(cell: Cell, figures: Figures, back: Sequence[int], until: int | None = None) -> Measurement:
    """Sum a run up; ``back`` are the instants at which results were back at the first stage, warm-up included.

    ``until`` is when the last round alone was over, by the same clock; without one measuring ended with the last
    result.
    """
    lines = tuple(fit(hop.before, hop.after) for hop in figures.hops)
    taken, last = figures.stages[0].instants.received, len(figures.stages) - 1
    computed = [_first_clock(lines, last, instant) for instant in figures.stages[last].instants.computed]
    responses = differences_ms(taken, back)
    discarded = count_discarded(responses[cell.warmup :], cell.window)
    skip = cell.warmup + discarded
    latencies = differences_ms(taken, computed)[skip:]
    hops = tuple(_hop(cell, figures, number, line, skip) for number, line in enumerate(lines))
    stages = tuple(_stage(cell, figures, number, skip) for number in range(len(figures.stages)))
    sharing = [stage.device for stage, report in zip(stages, figures.stages, strict=True) if report.cores_shared]
    stability = judge(responses[skip:], cell.window, stages, sharing)
    uncertainty = sum(hop.offset_uncertainty_ms for hop in hops)
    latency = statistics.median(latencies)
    return Measurement(
        status="ok",
        discarded=discarded,
        latency_ms=latency,
        latency_uncertainty_ms=uncertainty,
        latency_p95_ms=percentile(latencies, 95),
        latency_p99_ms=percentile(latencies, 99),
        response_ms=statistics.median(responses[skip:]),
        response_p95_ms=percentile(responses[skip:], 95),
        response_p99_ms=percentile(responses[skip:], 99),
        throughput_ips=throughput_ips(back[skip:], responses[-1], cell.batch, cell.window),
        batch_latency_ms=tuple(latencies),
        batch_response_ms=tuple(responses[skip:]),
        warmup_response_ms=tuple(responses[:skip]),
        spread_percent=stability.spread_percent,
        autocorrelation=stability.autocorrelation,
        unstable=(*stability.unstable, *_outages(hops)),
        stages=stages,
        hops=hops,
        samples=_samples(cell, figures.stages, lines, back, discarded),
        warnings=(
            *(f"{device} shares its processor cores with other virtual devices" for device in sharing),
            *_clock_warnings(lines, hops, uncertainty, latency),
        ),
        measuring_s=((until or back[-1]) - taken[0]) / 1e9,
    )


def differences_ms(starts: Sequence[int], ends: Sequence[int]) -> list[float]:
    """Give the differences of two lists of nanoseconds, in milliseconds."""
    return [(end - start) / _NS_PER_MS for start, end in zip(starts, ends, strict=True)]


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


def _first_clock(lines: Sequence[ClockLine], stage: int, instant: int) -> int:
    """Translate an instant of a stage's clock to the first stage's."""
    for line in reversed(lines[:stage]):
        instant = line.here(instant)
    return instant


def _stage(cell: Cell, figures: Figures, number: int, skip: int) -> StageFigures:
    told, report = cell.stages[number], figures.stages[number]
    times = report.instants

    def median_ms(starts: Sequence[int], ends: Sequence[int]) -> float:
        return statistics.median(differences_ms(starts[skip:], ends[skip:]))

    return StageFigures(
        stage=number,
        device=told.device,
        first=told.first,
        last=told.last,
        accelerator=report.accelerator,
        threads=report.threads,
        load_ms=report.load_ms,
        engine=report.engine,
        compute_ms=median_ms(times.started, times.computed),
        queue_ms=median_ms(times.decoded or times.received, times.started),
        receive_ms=median_ms(times.first_byte, times.received),
        send_ms=median_ms(times.send_started, times.sent) if len(cell.stages) > 1 else 0.0,
        alone_ms=statistics.median(report.alone_ms) if report.alone_ms else None,
        alone_cpu_ms=statistics.median(report.alone_cpu_ms) if report.alone_cpu_ms else None,
        cores=report.cores if _shares_cores(report, figures.stages) else (),
        processors=report.processors,
        **msgspec.structs.asdict(report.telemetry),
    )


def _shares_cores(report: StageReport, others: Sequence[StageReport]) -> bool:
    """Say whether another stage of the chain may run on some of the same cores of the same machine."""
    if not report.machine:
        return False
    beside = [other for other in others if other is not report and other.machine == report.machine]
    return any(set(other.cores) & set(report.cores) for other in beside)


def _hop(cell: Cell, figures: Figures, number: int, line: ClockLine, skip: int) -> HopFigures:
    report, above, below = figures.hops[number], figures.stages[number].instants, figures.stages[number + 1].instants
    left = above.send_started[skip:]
    arrived = [line.here(instant) for instant in below.received[skip:]]
    return HopFigures(
        hop=number,
        source=cell.stages[number].device,
        target=cell.stages[number + 1].device,
        bytes=report.frame_bytes,
        raw_bytes=report.raw_bytes,
        result_bytes=report.result_bytes,
        codec=report.codec,
        encode_ms=_median_ms(above.encode_started[skip:], left),
        decode_ms=_median_ms(below.received[skip:], below.decoded[skip:]),
        transfer_ms=statistics.median(differences_ms(left, arrived)),
        offset_ms=line.ahead((left[0] + left[-1]) // 2) / _NS_PER_MS,
        offset_uncertainty_ms=max(map(line.uncertainty, arrived)) / _NS_PER_MS,
        rtt_ms=min(report.before.round_trip_ns, report.after.round_trip_ns) / _NS_PER_MS,
        drift_ppm=line.drift * 1e6 if line.drift else None,
        silence_ms=max(report.silence_ms, figures.stages[number + 1].silence_ms),
        protection=report.protection,
    )


def _median_ms(starts: Sequence[int], ends: Sequence[int]) -> float:
    """Give the median difference; 0 where one of the two was not noted."""
    return statistics.median(differences_ms(starts, ends)) if starts and ends else 0.0


def _outages(hops: Sequence[HopFigures]) -> list[str]:
    """Say where nothing came through for longer than neighbours that live are silent."""
    return [
        f"nothing came between {hop.source} and {hop.target} for {hop.silence_ms / 1e3:.0f} s"
        for hop in hops
        if hop.silence_ms is not None and hop.silence_ms > _MOST_SILENCE_MS
    ]


def _samples(
    cell: Cell, reports: Sequence[StageReport], lines: Sequence[ClockLine], back: Sequence[int], discarded: int
) -> tuple[StageSamples, ...]:
    samples = []
    for number, report in enumerate(reports):
        times = report.instants
        samples.append(
            StageSamples(
                stage=number,
                device=cell.stages[number].device,
                discarded=discarded,
                first_byte_ns=times.first_byte,
                received_ns=times.received,
                started_ns=times.started,
                computed_ns=times.computed,
                send_started_ns=times.send_started,
                sent_ns=times.sent,
                decoded_ns=times.decoded,
                encode_started_ns=times.encode_started,
                offset_ns=tuple(instant - _first_clock(lines, number, instant) for instant in times.computed),
                back_ns=() if number else tuple(back),
            )
        )
    return tuple(samples)


def _clock_warnings(
    lines: Sequence[ClockLine], hops: Sequence[HopFigures], uncertainty: float, latency: float
) -> list[str]:
    warnings = [
        f"the clocks of {hop.source} and {hop.target} moved apart by more than clocks drift: was one of them suspended?"
        for line, hop in zip(lines, hops, strict=True)
        if line.jumped
    ]
    if uncertainty > _UNCERTAIN_SHARE * latency:
        warnings.append(f"latency_ms rests on clock offsets known to within {uncertainty:.1f} ms; response_ms does not")
    return warnings
