"""Synthetic campaigns: rows as a sweep would write them, from a small model of physics."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from stage_runtime.formats.cell import TransportName, cell_id
from stage_runtime.formats.row import HopFigures, LinkDirection, Row, StageFigures
from sweep.bounds import find_bounds

# MobileNetV2, batch 8: MB after each block and a rough share of its compute
MEGABYTES = [12.8, 6.4, 2.4, 2.4, 0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.4, 0.6, 0.6, 0.6, 0.25, 0.25, 0.25, 0.5]
COMPUTE_MS = [22, 30, 28, 20, 14, 11, 11, 10, 9, 9, 9, 11, 13, 13, 9, 9, 9, 13, 12]
INPUT_MEGABYTES = 4.8
# what the made-up RPC adds to a hop: per batch and per MB
RPC_MS, RPC_MS_PER_MB = 2.0, 0.5
NETWORKS = {
    "lan": {"rate_mbit": 1000.0, "delay_ms": 0.2, "jitter_ms": 0.0, "loss_percent": 0.0},
    "wifi": {"rate_mbit": 50.0, "delay_ms": 3.0, "jitter_ms": 1.0, "loss_percent": 0.0},
    "paper_200ms_5mbit": {"rate_mbit": 5.0, "delay_ms": 200.0, "jitter_ms": 0.0, "loss_percent": 0.0},
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What to make up: the model, the chain (device -> speed), and how often."""

    campaign: str = "made-up"
    model: str = "mobilenet_v2"
    chain: str = "pi_to_pi"
    speeds: tuple[tuple[str, float], ...] = (("pi1", 1.0), ("pi2", 1.0))
    networks: tuple[str, ...] = tuple(NETWORKS)
    transports: tuple[TransportName, ...] = ("tcp",)
    cuts: tuple[int, ...] = tuple(range(1, len(COMPUTE_MS)))
    windows: tuple[int, ...] = (1, 4)
    repeats: int = 3
    batches: int = 8
    batch: int = 8
    noise: float = 0.03
    seed: int = 0


def _stage(
    index: int, device: str, blocks: tuple[int, int], compute_ms: float, times: tuple[float, float]
) -> StageFigures:
    receive_ms, send_ms = times
    return StageFigures(
        stage=index,
        device=device,
        first=blocks[0],
        last=blocks[1],
        accelerator="cpu",
        threads=1,
        load_ms=12.0,
        compute_ms=compute_ms,
        queue_ms=0.2,
        receive_ms=receive_ms,
        send_ms=send_ms,
        cpu_percent=48.0,
        rss_mb=320.0,
        memory_percent=8.1,
        available_memory_mb=3600.0,
        alone_ms=0.97 * compute_ms,
        alone_cpu_ms=0.97 * compute_ms,
    )


def _link(plan: Plan, network: str) -> tuple[LinkDirection, ...]:
    spec = NETWORKS[network]
    names = [name for name, _ in plan.speeds]
    return tuple(
        LinkDirection(
            source=a,
            target=b,
            backend="user",
            asked=dict(spec),
            in_force=dict(spec),
            rtt_ms=2 * spec["delay_ms"] + 0.3,
            message_ms=spec["delay_ms"] + 0.55 * 1000 / spec["rate_mbit"],
            bulk_mbit=spec["rate_mbit"],
        )
        for a, b in ((names[0], names[1]), (names[1], names[0]))
    )


def make_row(
    plan: Plan, network: str, split: str, window: int, repeat: int, *, transport: TransportName = "tcp"
) -> Row:
    """Make one row of a two-device chain; ``split`` is ``P<k>`` or ``only:<device>``.

    Both transports of a repeat drift alike, as runs of one block do.
    """
    rng = np.random.default_rng([plan.seed, repeat, window, *(f"{plan.chain}{network}{split}".encode())])
    (first, fast1), (second, fast2) = plan.speeds
    total = len(COMPUTE_MS)
    cut = int(split[1:]) if split.startswith("P") else total if split == f"only:{first}" else 0
    megabytes = MEGABYTES[cut - 1] if 0 < cut < total else INPUT_MEGABYTES
    alone = cut == total
    drift = float(rng.lognormal(0, plan.noise * 2))
    spec = NETWORKS[network]
    front_ms = sum(COMPUTE_MS[:cut]) / fast1 * drift
    tail_ms = sum(COMPUTE_MS[cut:]) / fast2 * drift
    wire_ms = 0.0 if alone else megabytes * 8000 / spec["rate_mbit"] / 0.955
    link_ms = 0.0 if alone else wire_ms + spec["delay_ms"]
    if transport == "rpc":
        rng = np.random.default_rng([repeat, window, *f"rpc{plan.chain}{network}{split}".encode()])
        link_ms += 0.0 if alone else RPC_MS + RPC_MS_PER_MB * megabytes
    noise: list[float] = rng.lognormal(0, plan.noise, plan.batches).tolist()
    latency = [(front_ms + tail_ms + link_ms + 0.8) * factor for factor in noise]
    rate = float(rng.lognormal(0, plan.noise))
    period = max(front_ms, tail_ms, link_ms - spec["delay_ms"]) if window > 1 else front_ms + tail_ms + link_ms
    stages = [_stage(0, first, (0, cut), front_ms, (0.0, wire_ms))]
    hops = []
    if not alone:
        stages.append(_stage(1, second, (cut, total), tail_ms, (wire_ms, 0.1)))
        hops = [
            HopFigures(
                hop=0,
                source=first,
                target=second,
                bytes=int(megabytes * 1e6),
                result_bytes=32_000,
                transfer_ms=link_ms,
                offset_ms=0.1,
                offset_uncertainty_ms=0.05,
                rtt_ms=2 * spec["delay_ms"] + 0.3,
            )
        ]
    definition: dict[str, object] = {
        "model": plan.model, "chain": plan.chain, "network": network, "split": split,
        "window": window, "batch": plan.batch, "batches": plan.batches, "transport": transport,
    }  # fmt: skip
    queue = max(1, window)
    link = _link(plan, network)
    bounds = find_bounds(stages, hops, link, window)
    assert bounds is not None
    most_ips = bounds.throughput_ips(plan.batch)
    assert most_ips is not None
    latency_ms, throughput_ips = float(np.median(latency)) * queue, plan.batch * 1000 / period * rate
    return Row(
        campaign=plan.campaign,
        cell_id=cell_id(definition),
        repeat=repeat,
        status="ok",
        reason="",
        failed_device=None,
        model=plan.model,
        granularity="paper",
        cut=(cut,) if split.startswith("P") else (),
        split=split,
        chain=plan.chain,
        devices=(first, second),
        network=network,
        transport=transport,
        engine="eager",
        codec="none",
        batch=plan.batch,
        batches=plan.batches,
        warmup=2,
        window=window,
        manifest_id="0" * 16,
        weights="seeded",
        inputs_id="1" * 16,
        seed=0,
        latency_ms=latency_ms,
        response_ms=float(np.median(latency)) * queue + (0 if alone else spec["delay_ms"]),
        throughput_ips=throughput_ips,
        batch_latency_ms=tuple(value * queue for value in latency),
        batch_response_ms=tuple(value * queue for value in latency),
        warmup_response_ms=(latency[0] * 1.4,),
        stages=tuple(stages),
        hops=tuple(hops),
        link=link,
        warnings=("oversubscribed: 3 virtual devices on 2 cores",),
        started="2026-01-01T12:00:00+00:00",
        elapsed_s=3.2,
        measuring_s=2.9,
        latency_uncertainty_ms=0.0 if alone else 0.05,
        latency_bound_ms=bounds.latency_ms,
        latency_efficiency=bounds.latency_ms / latency_ms if window == 1 else None,
        throughput_bound_ips=most_ips,
        throughput_efficiency=throughput_ips / most_ips,
        throughput_limit=f"{bounds.period.limit} {bounds.period.where}",
    )


def make_rows(plan: Plan) -> list[Row]:
    """Make every row of a plan, conditions one after the other as a sweep runs them."""
    splits = [f"only:{name}" for name, _ in plan.speeds] + [f"P{cut}" for cut in plan.cuts]
    return [
        make_row(plan, network, split, window, repeat, transport=transport)
        for network in plan.networks
        for repeat in range(plan.repeats)
        for split in splits
        for window in plan.windows
        for transport in plan.transports
    ]


def failed(row: Row, reason: str) -> Row:
    """Turn a row into that of a run that failed on the last device."""
    return msgspec.structs.replace(
        row, status="failed", reason=reason, failed_device=row.devices[-1], latency_ms=None, response_ms=None,
        throughput_ips=None, batch_latency_ms=(), batch_response_ms=(), warmup_response_ms=(), stages=(),
        hops=(), latency_bound_ms=None, latency_efficiency=None, throughput_bound_ips=None, throughput_efficiency=None,
        throughput_limit=None,
    )  # fmt: skip


def write_campaign(folder: Path, rows: Sequence[Row], tail: bytes = b"") -> Path:
    """Write a campaign's folder: journal, ``campaign.json`` and one condition's provenance."""
    (folder / "provenance").mkdir(parents=True, exist_ok=True)
    lines = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    (folder / "journal.jsonl").write_bytes(lines + tail)
    options = {"model": ["mobilenet_v2"], "networks": list(NETWORKS), "repeats": 3}
    command = "ansible-playbook sweep.yml -e model=mobilenet_v2"
    (folder / "campaign.json").write_text(json.dumps({"command": command, "seed": 0, "options": options}))
    versions = {"python": "3.11.2", "torch": "2.13.0"}
    condition = {"network": "lan", "versions": versions, "devices": {"pi1": {"governor": "performance"}}}
    (folder / "provenance" / "0.json").write_text(json.dumps(condition))
    return folder
