"""Put a stage process together from its configuration."""

from __future__ import annotations

from pathlib import Path

from stage_runtime.engines.choice import Engines, local_engines
from stage_runtime.errors import TransportError
from stage_runtime.formats.cell import TransportName
from stage_runtime.formats.stage_config import StageConfig
from stage_runtime.stage.computing import ComputeThread, choose_accelerator
from stage_runtime.stage.gate import Gate
from stage_runtime.stage.neighbours import Neighbours
from stage_runtime.stage.workplace import Workplace
from stage_runtime.stage.world import World
from stage_runtime.telemetry.limits import read_limits, threads_allowed
from stage_runtime.transports.base import Transport
from stage_runtime.transports.tls import Tls


def build_workplace(
    config: StageConfig,
    transport: Transport,
    secret: bytes,
    engines: Engines | None = None,
    *,
    world: World | None = None,
    tls: Tls | None = None,
) -> Workplace:
    """Make what the runs of one process share; ``engines`` replaces the real ones in tests.

    ``transport`` takes the place of TCP there too; cells over RPC need a ``world``.

    Raises SplitbedError when the accelerator asked for is not there.
    """
    accelerator = choose_accelerator(config.accelerator)
    limits = read_limits()
    threads = config.threads or threads_allowed(limits)
    shards_dir = Path(config.shards_dir)

    def pick(name: TransportName) -> Transport:
        if name == "tcp":
            return transport
        if world is None:
            raise TransportError(f"{config.device} was started without an RPC world, and the cell is to run over RPC")
        return world.transport()

    return Workplace(
        device=config.device,
        accelerator=accelerator,
        threads=threads,
        oversubscribed=config.oversubscribed,
        shards_dir=shards_dir,
        inputs_dir=Path(config.inputs_dir),
        engines=engines or local_engines(shards_dir, accelerator, threads),
        compute=ComputeThread(threads),
        neighbours=Neighbours(pick, Gate(secret, tls)),
        processors=limits.processors,
        quota_period_s=limits.period_s,
    )
