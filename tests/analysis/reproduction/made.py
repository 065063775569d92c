"""Made-up campaigns for the claims: rows from a small physics whose every knob a test can turn."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from analysis.frame import runs_frame
from analysis.journal import Journal
from analysis.reproduction.material import Material, prepare
from stage_runtime.formats.cell import TransportName, cell_id
from stage_runtime.formats.row import HopFigures, LinkDirection, Row, StageFigures
from tests.analysis.journals import gather


class Link(NamedTuple):
    """What a network asks of every link; a rate of 0 is no limit."""

    rate_mbit: float
    delay_ms: float


class _Run(NamedTuple):
    model: str
    chain: str
    network: str
    transport: TransportName
    split: str
    window: int
    repeat: int


FAST = Link(1000.0, 0.2)
SLOW = Link(5.0, 200.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Made:
    """A campaign to make up.

    ``blocks_ms`` is each block's time on a device of speed 1, ``megabytes`` what crosses after each but the last;
    ``speeds`` are those of the two devices of each chain.  ``rpc`` multiplies the latency over RPC and divides
    its throughput, split by split (the last one goes on).  ``noise`` is the run-to-run spread.
    """

    models: tuple[str, ...] = ("mobilenet_v2", "resnet18")
    speeds: Mapping[str, tuple[float, float]] = dataclasses.field(
        default_factory=lambda: {"pi_to_pi": (1.0, 1.0), "pi_to_gpu": (1.0, 8.0)}
    )
    networks: Mapping[str, Link] = dataclasses.field(default_factory=lambda: {"lan": FAST, "bad": SLOW})
    transports: tuple[TransportName, ...] = ("tcp",)
    blocks_ms: tuple[float, ...] = (30.0, 25.0, 20.0, 20.0, 15.0, 15.0, 10.0, 10.0)
    megabytes: tuple[float, ...] = (6.0, 4.0, 2.5, 1.5, 0.8, 0.4, 0.2)
    splits: tuple[str, ...] | None = None
    references: bool = True
    windows: tuple[int, ...] = (1, 4)
    repeats: int = 3
    batch: int = 8
    noise: float = 0.01
    rpc: tuple[float, ...] = (1.1,)
    seed: int = 0


def material(made: Made) -> Material:
    """Prepare the made-up campaign as the claims take it."""
    return prepare(runs_frame(journal(made)))


def journal(made: Made) -> Journal:
    """Give its runs as read from a journal."""
    return gather(make_rows(made))


def make_rows(made: Made) -> Iterator[Row]:
    """Yield every row of the campaign."""
    for model in made.models:
        for chain in made.speeds:
            devices = _devices(chain)
            splits = made.splits or tuple(f"P{point}" for point in range(1, len(made.blocks_ms)))
            references = tuple(f"only:{device}" for device in devices) if made.references else ()
            for network in made.networks:
                for transport in made.transports:
                    for split in (*references, *splits):
                        for window in made.windows:
                            for repeat in range(made.repeats):
                                run = _Run(model, chain, network, transport, split, window, repeat)
                                yield _row(made, run)


def _devices(chain: str) -> tuple[str, str]:
    return ("pi1", "gpu1") if chain.endswith("gpu") else ("pi1", "pi2")


def _row(made: Made, run: _Run) -> Row:
    model, chain, network, transport, split, window, repeat = run
    devices = _devices(chain)
    speeds, link = made.speeds[chain], made.networks[network]
    count = len(made.blocks_ms)
    alone = split == f"only:{devices[0]}"
    cut = int(split[1:]) if split.startswith("P") else count if alone else 0
    name = f"{made.seed}/{model}/{chain}/{network}/{transport}/{split}/{window}/{repeat}"
    factor: list[float] = np.random.default_rng(zlib.crc32(name.encode())).lognormal(0.0, made.noise, 4).tolist()
    front = sum(made.blocks_ms[:cut]) / speeds[0] * factor[0]
    tail = sum(made.blocks_ms[cut:]) / speeds[1] * factor[1]
    megabytes = 0.0 if alone else made.megabytes[cut - 1] if cut else 4.8
    wire = megabytes * 8000 / link.rate_mbit if link.rate_mbit else 0.0
    delay = 0.0 if alone else link.delay_ms
    extra = made.rpc[min(max(cut, 1), len(made.rpc)) - 1] if transport == "rpc" else 1.0
    latency = (front + tail + wire + delay + 0.5) * extra * factor[2]
    period = (max(front, tail, wire) if window > 1 else front + tail + wire + 2 * delay) * extra * factor[3]
    stages = [_stage(0, devices[0], (0, cut), front)]
    hops: tuple[HopFigures, ...] = ()
    if not alone:
        stages.append(_stage(1, devices[1], (cut, count), tail))
        hops = (_hop(devices, int(megabytes * 1e6), wire + delay),)
    definition: dict[str, object] = {"key": f"{model}/{chain}/{network}/{transport}/{split}/{window}/{made.batch}"}
    return Row(
        campaign="made", cell_id=cell_id(definition), repeat=repeat, status="ok", reason="", failed_device=None,
        model=model, granularity="paper", cut=(cut,) if split.startswith("P") else (), split=split, chain=chain,
        devices=devices, network=network, transport=transport, engine="eager", codec="none", batch=made.batch,
        batches=4, warmup=1, window=window, manifest_id="0" * 16, weights="seeded:0", inputs_id="1" * 16, seed=0,
        latency_ms=latency, response_ms=latency + delay, throughput_ips=made.batch * 1000 / period,
        batch_latency_ms=(latency,) * 4, batch_response_ms=(latency + delay,) * 4, warmup_response_ms=(latency,),
        stages=tuple(stages), hops=hops, link=_link(devices, link), warnings=(),
        started="2026-01-01T12:00:00+00:00", elapsed_s=3.0, measuring_s=2.0,
    )  # fmt: skip


def _stage(stage: int, device: str, blocks: tuple[int, int], compute_ms: float) -> StageFigures:
    return StageFigures(
        stage=stage, device=device, first=blocks[0], last=blocks[1], accelerator="cpu", threads=1, load_ms=1.0,
        compute_ms=compute_ms, queue_ms=0.1, receive_ms=0.0, send_ms=0.1, cpu_percent=48.0 + stage,
        rss_mb=300.0, memory_percent=7.0 + stage, available_memory_mb=3000.0,
    )  # fmt: skip


def _hop(devices: tuple[str, str], size: int, transfer_ms: float) -> HopFigures:
    return HopFigures(
        hop=0, source=devices[0], target=devices[1], bytes=size, transfer_ms=transfer_ms, offset_ms=0.0,
        offset_uncertainty_ms=0.01, rtt_ms=0.5,
    )  # fmt: skip


def _link(devices: tuple[str, str], link: Link) -> tuple[LinkDirection, ...]:
    asked: dict[str, float | None] = {**link._asdict(), "jitter_ms": 0.0, "loss_percent": 0.0}
    return tuple(
        LinkDirection(source=source, target=target, backend="user", asked=asked, in_force=asked)
        for source, target in (devices, devices[::-1])
    )
