"""The result row: one line of ``journal.jsonl``, one run (one repeat of one cell).

A stage answers the control command with a :class:`Measurement`; the driver adds what only it
knows (campaign, link) and writes a :class:`Row`.  METHODOLOGY.md defines every field.
Times are milliseconds, memory is MiB (2**20 bytes), CPU % is 100 for one core.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from stage_runtime.formats.cell import CodecName, EngineName, TransportName
from stage_runtime.formats.manifest import Granularity
from stage_runtime.formats.ready import make_ready

ROW_SCHEMA = 1

Status = Literal["ok", "failed", "timeout", "invalid"]


class StageFigures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one stage measured of itself; times are medians over the measured batches.

    ``compute_ms`` the blocks' forward, ``queue_ms`` from the input being complete to compute
    beginning, ``receive_ms`` from a frame's first byte to its last, ``send_ms`` from the first
    send call to the last returning.  GPU figures are None without an NVML device.
    ``engine`` is what computed (never ``best``).  ``alone_ms`` is the median time of the same blocks while
    nothing else in the chain works, measured within the same run, and ``alone_cpu_ms`` the processor time that took
    (None where nothing was measured: a stage without blocks, and rows from before these columns); ``cores`` are the
    processor cores it may use, where other stages may use them too, else none.  ``processors`` is its CPU quota.
    """

    stage: int
    device: str
    first: int
    last: int
    accelerator: str
    threads: int
    load_ms: float
    compute_ms: float
    queue_ms: float
    receive_ms: float
    send_ms: float
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
    engine: EngineName = "eager"
    alone_ms: float | None = None
    alone_cpu_ms: float | None = None
    cores: tuple[int, ...] = ()
    processors: float | None = None


class HopFigures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One hop: payload and header bytes per batch, and the time they took (median).

    ``transfer_ms`` runs from the sender's first send call to the receiver's last byte, on the
    sender's clock (the offset of the hop is taken off).  ``offset_ms`` holds in the middle of the measured
    batches, ``drift_ppm`` is how fast it grows (None where no drift can be told from noise).
    ``bytes`` are those on the wire, after the codec; ``raw_bytes`` are the tensor's own; ``result_bytes`` are those of
    the result's frame, which passes the hop on its way back.  ``codec`` is what wrote
    them (never ``auto``); ``encode_ms`` and ``decode_ms`` are what that took at either end, and no part of
    ``transfer_ms``.  ``silence_ms`` is the longest that nothing came at one of the ends while it waited, to within
    a beat (None in rows from before this column).  ``protection`` is the protocol and cipher that the connection was
    under, None in the clear.
    """

    hop: int
    source: str
    target: str
    bytes: int
    transfer_ms: float
    offset_ms: float
    offset_uncertainty_ms: float
    rtt_ms: float
    drift_ppm: float | None = None
    codec: CodecName = "none"
    raw_bytes: int | None = None
    result_bytes: int = 0
    encode_ms: float = 0.0
    decode_ms: float = 0.0
    silence_ms: float | None = None
    protection: str | None = None


class StageSamples(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The raw instants of one stage: a list entry per batch, the warm-up included.

    Nanoseconds of the stage's own ``perf_counter_ns``; ``offset_ns`` is how far that clock is ahead of the
    first stage's at each batch's ``computed_ns``.  ``back_ns``, when the result was back, is the first
    stage's alone; ``decoded_ns`` and ``encode_started_ns`` are empty without a codec; ``discarded`` is the
    measurement's.
    """

    stage: int
    device: str
    discarded: int
    first_byte_ns: tuple[int, ...]
    received_ns: tuple[int, ...]
    started_ns: tuple[int, ...]
    computed_ns: tuple[int, ...]
    send_started_ns: tuple[int, ...]
    sent_ns: tuple[int, ...]
    offset_ns: tuple[int, ...]
    back_ns: tuple[int, ...] = ()
    decoded_ns: tuple[int, ...] = ()
    encode_started_ns: tuple[int, ...] = ()


class Measurement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the chain measured of one run.

    ``response_ms``: from the first stage taking up a batch to its result being back there.
    ``latency_ms``: from the same instant to the last stage having computed it, by the chain's
    clock offsets.  Both are medians; ``batch_response_ms`` and ``batch_latency_ms`` hold every
    measured batch in order, and the ``warmup_`` ones those that were discarded.
    ``throughput_ips``: images per second between the first and the last measured completion.
    ``measuring_s``: wall time from the first batch fed (warm-up included) to the last result.
    ``discarded`` counts the leading batches, past those that the cell asked to warm up with, which the
    warm-up rule took away from the measured ones.  ``spread_percent`` is the interquartile range of the
    responses over their median, ``autocorrelation`` that of neighbouring ones; ``unstable`` says why
    the run should not be trusted, and is empty for one that may be.  ``samples`` are kept apart from the row.
    ``relative_error`` is the largest difference from the unsplit float32 model's output, over that output's largest
    magnitude, and ``top1_agreement`` the share of images whose largest output is at the same place, over all batches of
    the run; None where no reference outputs lie beside the inputs.  ``lost`` says that the failed device's stage, or
    the way to it, is gone, as far as its neighbours can tell: the fault is not the cell's.
    """

    status: Status
    reason: str = ""
    failed_device: str | None = None
    lost: bool = False
    discarded: int = 0
    latency_uncertainty_ms: float | None = None
    latency_p95_ms: float | None = None
    latency_p99_ms: float | None = None
    response_p95_ms: float | None = None
    response_p99_ms: float | None = None
    spread_percent: float | None = None
    autocorrelation: float | None = None
    unstable: tuple[str, ...] = ()
    samples: tuple[StageSamples, ...] = ()
    relative_error: float | None = None
    top1_agreement: float | None = None
    latency_ms: float | None = None
    response_ms: float | None = None
    throughput_ips: float | None = None
    batch_latency_ms: tuple[float, ...] = ()
    batch_response_ms: tuple[float, ...] = ()
    warmup_response_ms: tuple[float, ...] = ()
    stages: tuple[StageFigures, ...] = ()
    hops: tuple[HopFigures, ...] = ()
    warnings: tuple[str, ...] = ()
    started: str = ""
    elapsed_s: float = 0.0
    measuring_s: float = 0.0


class LinkDirection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One direction of one link: what was asked for, what is in force, what was measured.

    ``asked`` and ``in_force`` have the keys of a link specification (``rate_mbit``, ``delay_ms``,
    ``jitter_ms``, ``loss_percent``); ``backend`` is ``tc`` or ``user``, or ``none`` if unshaped.
    """

    source: str
    target: str
    backend: str
    asked: dict[str, float | None]
    in_force: dict[str, float | None]
    rtt_ms: float | None = None
    message_ms: float | None = None
    bulk_mbit: float | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run: the cell, the measurement, the link, the campaign.

    The bounds are what no runtime can beat with these stages on these links, and an efficiency is how near the run
    came to its bound (1 is at it); None where the run failed or a stage was not measured alone.  ``throughput_limit``
    says what sets the throughput's: ``stage``, ``link``, ``cores`` or ``window``, a space, and which.
    """

    schema: int = ROW_SCHEMA
    campaign: str
    cell_id: str
    repeat: int
    status: Status
    reason: str
    failed_device: str | None
    model: str
    granularity: Granularity
    cut: tuple[int, ...]
    split: str
    chain: str
    devices: tuple[str, ...]
    network: str
    transport: TransportName
    engine: EngineName
    codec: CodecName
    batch: int
    batches: int
    warmup: int
    window: int
    manifest_id: str
    weights: str
    inputs_id: str
    seed: int
    latency_ms: float | None
    response_ms: float | None
    throughput_ips: float | None
    batch_latency_ms: tuple[float, ...]
    batch_response_ms: tuple[float, ...]
    warmup_response_ms: tuple[float, ...]
    stages: tuple[StageFigures, ...]
    hops: tuple[HopFigures, ...]
    link: tuple[LinkDirection, ...]
    warnings: tuple[str, ...]
    started: str
    elapsed_s: float
    measuring_s: float
    discarded: int = 0
    latency_uncertainty_ms: float | None = None
    latency_p95_ms: float | None = None
    latency_p99_ms: float | None = None
    response_p95_ms: float | None = None
    response_p99_ms: float | None = None
    spread_percent: float | None = None
    autocorrelation: float | None = None
    unstable: tuple[str, ...] = ()
    relative_error: float | None = None
    top1_agreement: float | None = None
    latency_bound_ms: float | None = None
    throughput_bound_ips: float | None = None
    latency_efficiency: float | None = None
    throughput_efficiency: float | None = None
    throughput_limit: str | None = None
    silence_s: float | None = None
    lost: bool = False
    tls: bool = False


make_ready(Measurement, Row)
