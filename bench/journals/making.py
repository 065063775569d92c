"""Make up the journal of a long campaign: rows as a sweep would write them, with the figures of real ones.

The matrix is that of the shipped campaign with every cut: six models, two chains, five networks, both transports,
windows of 1 and 4, 4,600 cells in all.  Each pass over it is a repeat of every cell, with drift and noise of its
own, so that the rows of a long journal are further repeats, not further cells.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from stage_runtime.formats.cell import TransportName, cell_id
from stage_runtime.formats.row import HopFigures, LinkDirection, Row, StageFigures

BATCHES = 16
_NOISE = 0.03
# a model's blocks, their compute on a device in all (ms), and the kilobytes that cross in the middle
_MODELS = {
    "alexnet": (13, 50.0, 180.0),
    "inception_v3": (20, 190.0, 900.0),
    "mobilenet_v2": (19, 38.0, 300.0),
    "resnet18": (9, 80.0, 400.0),
    "resnet50": (17, 170.0, 1600.0),
    "vgg16": (31, 500.0, 1600.0),
}
_CHAINS = {"pi_to_pi": ("pi1", "pi2"), "pi_to_gpu": ("pi1", "gpu1")}
_NETWORKS = {
    "lan": (1000.0, 0.2),
    "wifi": (50.0, 3.0),
    "lte": (20.0, 25.0),
    "congested": (8.0, 60.0),
    "paper": (5.0, 200.0),
}
_TRANSPORTS: tuple[TransportName, ...] = ("tcp", "rpc")
_WINDOWS = (1, 4)


class _Place(NamedTuple):
    """One cell of the matrix; ``cut`` 0 is the whole model on the last device, as many as blocks on the first."""

    model: str
    chain: str
    network: str
    transport: TransportName
    window: int
    cut: int

    @property
    def split(self) -> str:
        """The label of the cut."""
        first, last = _CHAINS[self.chain]
        return {0: f"only:{last}", _MODELS[self.model][0]: f"only:{first}"}.get(self.cut, f"P{self.cut}")


def places(models: Sequence[str] = tuple(_MODELS)) -> Iterator[_Place]:
    """Give every cell of the matrix of these models, in the order of a sweep's conditions."""
    for chain, network, transport in itertools.product(_CHAINS, _NETWORKS, _TRANSPORTS):
        for model in models:
            blocks = _MODELS[model][0]
            for cut, window in itertools.product(range(blocks + 1), _WINDOWS):
                yield _Place(model, chain, network, transport, window, cut)


def write_journal(folder: Path, rows: int, models: Sequence[str] = tuple(_MODELS), *, seed: int = 0) -> Path:
    """Write ``journal.jsonl`` of so many rows of these models into `folder`; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    encoder = msgspec.json.Encoder()
    with (folder / "journal.jsonl").open("wb") as journal:
        matrix = list(places(models))
        for number in range(rows):
            repeat, which = divmod(number, len(matrix))
            journal.write(encoder.encode(_row(matrix[which], repeat, folder.name, rng)) + b"\n")
    return folder


def _row(place: _Place, repeat: int, campaign: str, rng: np.random.Generator) -> Row:
    blocks, whole_ms, kilobytes = _MODELS[place.model]
    devices = _CHAINS[place.chain]
    rate, delay = _NETWORKS[place.network]
    drift, *noise = np.exp(_NOISE * rng.standard_normal(1 + BATCHES)).tolist()
    share = place.cut / blocks
    compute = [whole_ms * share * drift, whole_ms * (1 - share) * drift]
    crosses = place.cut < blocks
    size = int(kilobytes * 1e3 * (1.5 - share)) if crosses else 0
    wire_ms = size * 8e-3 / (rate * 0.955) if crosses else 0.0
    way_ms = wire_ms + delay + (2.0 if place.transport == "rpc" else 0.3) if crosses else 0.0
    latency = sum(compute) + way_ms
    spans = tuple(latency * factor * place.window for factor in noise)
    period = max(*compute, wire_ms) if place.window > 1 else latency
    bound = 0.97 * sum(compute) + wire_ms + delay * crosses
    best_ips = 1e3 / max(*compute, wire_ms)
    return Row(
        campaign=campaign,
        cell_id=cell_id(place._asdict()),
        repeat=repeat,
        status="ok",
        reason="",
        failed_device=None,
        model=place.model,
        granularity="paper",
        cut=(place.cut,) if 0 < place.cut < blocks else (),
        split=place.split,
        chain=place.chain,
        devices=devices,
        network=place.network,
        transport=place.transport,
        engine="eager",
        codec="none",
        batch=1,
        batches=BATCHES,
        warmup=2,
        window=place.window,
        manifest_id="0" * 16,
        weights="seeded:0",
        inputs_id="1" * 16,
        seed=0,
        latency_ms=float(np.median(spans)),
        response_ms=float(np.median(spans)) + delay * crosses,
        throughput_ips=1e3 / period * noise[0],
        batch_latency_ms=spans,
        batch_response_ms=tuple(span + delay * crosses for span in spans),
        warmup_response_ms=(latency * 1.4, latency * 1.1),
        stages=_stages(place, compute, drift),
        hops=_hops(devices, size, way_ms, delay, drift) if crosses else (),
        link=tuple(_link(devices[::way], rate, delay) for way in (1, -1)),
        warnings=(f"the processor of {devices[0]} waited {100 * abs(drift - 1):.1f} % of the time",),
        started=f"2026-01-{1 + repeat % 28:02}T12:00:00.000+00:00",
        elapsed_s=3.2 * drift,
        measuring_s=2.9 * drift,
        latency_uncertainty_ms=0.05 * drift * crosses,
        latency_p95_ms=max(spans),
        latency_p99_ms=max(spans),
        response_p95_ms=max(spans),
        response_p99_ms=max(spans),
        spread_percent=4.0 * drift,
        autocorrelation=0.1 * drift,
        unstable=("autocorrelated",) if drift > 1 + 2 * _NOISE else (),
        relative_error=1e-6 * drift,
        top1_agreement=1.0,
        latency_bound_ms=bound,
        throughput_bound_ips=best_ips,
        latency_efficiency=bound / float(np.median(spans)) if place.window == 1 else None,
        throughput_efficiency=1e3 / period * noise[0] / best_ips,
        throughput_limit=f"stage {devices[int(compute[1] > compute[0])]}",
    )


def _stages(place: _Place, compute: list[float], drift: float) -> tuple[StageFigures, ...]:
    blocks = _MODELS[place.model][0]
    bounds = (0, place.cut, blocks)
    count = 2 if place.cut < blocks else 1
    return tuple(
        StageFigures(
            stage=number,
            device=_CHAINS[place.chain][number],
            first=bounds[number],
            last=bounds[number + 1],
            accelerator="cpu",
            threads=1,
            load_ms=3.7 * drift,
            compute_ms=compute[number],
            queue_ms=0.4 * drift,
            receive_ms=0.2 * drift,
            send_ms=2.1 * drift,
            cpu_percent=48.0 * drift,
            rss_mb=460.0 * drift,
            memory_percent=11.3 * drift,
            available_memory_mb=3600.0 * drift,
            device_cpu_percent=49.0 * drift,
            device_memory_percent=9.5 * drift,
            stolen_percent=2.1 * drift,
            swapped_mb=0.0,
            quota_throttled_percent=30.0 * drift,
            waited_percent=9.0 * drift,
            sampler_percent=0.07 * drift,
            alone_ms=0.97 * compute[number],
            alone_cpu_ms=0.96 * compute[number],
            processors=0.5,
        )
        for number in range(count)
    )


def _hops(devices: tuple[str, ...], size: int, way_ms: float, delay: float, drift: float) -> tuple[HopFigures, ...]:
    return (
        HopFigures(
            hop=0,
            source=devices[0],
            target=devices[1],
            bytes=size,
            raw_bytes=size,
            result_bytes=4056,
            transfer_ms=way_ms * drift,
            offset_ms=0.7 * drift,
            offset_uncertainty_ms=0.05 * drift,
            rtt_ms=(2 * delay + 0.5) * drift,
        ),
    )


def _link(ends: tuple[str, ...], rate: float, delay: float) -> LinkDirection:
    asked: dict[str, float | None] = {"rate_mbit": rate, "delay_ms": delay, "jitter_ms": 0.0, "loss_percent": 0.0}
    return LinkDirection(
        source=ends[0],
        target=ends[1],
        backend="user",
        asked=asked,
        in_force=dict(asked),
        rtt_ms=2 * delay + 0.3,
        message_ms=delay + 550 / rate,
        bulk_mbit=rate * 0.999,
    )
