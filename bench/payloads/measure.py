"""Run both ends on two virtual devices, one link after the other."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import msgspec

from bench.payloads.idle import IdleConfig
from bench.payloads.plan import FAR, EndConfig, plan_sizes
from bench.payloads.results import IdleTime, OnLink, Round
from bench.testbed import NETWORKS, PYTHON, BenchError, VirtualTestbed, last_json
from stage_runtime.formats.cell import TransportName
from stage_runtime.transports.room import room_bytes
from sweep.secret import new_secret

DEVICES: dict[str, dict[str, Any]] = {
    "a": {"virtual_cpus": 1, "virtual_cores": "0", "virtual_memory_mb": 2048},
    "b": {"virtual_cpus": 1, "virtual_cores": "1", "virtual_memory_mb": 2048},
}
_PORT, _WORLD_PORT, _IDLE_PORT = 47400, 47410, 47420
# As for a probe of a link without a rate.
_UNLIMITED_MBIT = 10_000.0
_LINK_TIMEOUT_S = 3600.0
# MobileNetV2 at P17 with a batch of 8, after the time that a slow second device may take for one.
_IDLE_BYTES, _IDLE_S = 250_880, 3.0


def measure_link(
    bed: VirtualTestbed,
    network: str,
    *,
    transports: Sequence[TransportName],
    rounds: int,
    frame_s: float,
    iperf_s: float,
    seed: int,
) -> OnLink:
    """Shape the link and measure everything on it; BenchError with what the ends said where one fails."""
    condition = NETWORKS[network]
    bed.link(tuple(DEVICES), network)
    sizes, left_out = plan_sizes(condition, frame_s)
    rate, round_trip = condition.get("rate_mbit") or _UNLIMITED_MBIT, 2 * condition.get("delay_ms", 0.0)
    with new_secret(bed.folder) as secret:
        config = EndConfig(
            caller=bed.data_address("a"),
            called=bed.data_address("b"),
            port=_PORT,
            secret_file=str(secret),
            world=secrets.token_hex(8),
            transports=tuple(transports),
            sizes=sizes,
            rounds=rounds,
            seed=seed,
            link_mbit=rate,
            link_rtt_ms=round_trip,
            iperf_s=iperf_s,
            world_port=_WORLD_PORT,
        )
        found = _both_ends(bed, "bench.payloads.end", config)
    return OnLink(
        network=network,
        condition=condition,
        room_bytes=room_bytes(rate, round_trip),
        rounds=msgspec.convert(found, tuple[Round, ...]),
        left_out=left_out,
    )


def measure_idle(bed: VirtualTestbed, *, times: int, seed: int) -> tuple[IdleTime, ...]:
    """Measure what slow start after idle times costs on a far link."""
    bed.link(tuple(DEVICES), FAR)
    config = IdleConfig(
        address=bed.data_address("b"),
        port=_IDLE_PORT,
        message_bytes=_IDLE_BYTES,
        idle_s=_IDLE_S,
        times=times,
        congestion=("cubic", "bbr"),
        seed=seed,
    )
    return msgspec.convert(_both_ends(bed, "bench.payloads.idle", config), tuple[IdleTime, ...])


def _both_ends(bed: VirtualTestbed, module: str, config: EndConfig | IdleConfig) -> Any:
    told = msgspec.json.encode(config).decode()
    with bed.start("b", [PYTHON, "-m", module, "serve", told]) as serving:
        try:
            return last_json(bed.run("a", [PYTHON, "-m", module, "drive", told], _LINK_TIMEOUT_S))
        except BenchError as exc:
            serving.terminate()
            said = (serving.stdout.read() if serving.stdout is not None else "").strip()
            raise BenchError(f"{exc}\nThe other end said: {said or 'nothing'}") from exc
