"""One engine in a process of its own: ``python -m bench.engines.runner CONTESTANT CORE SHARDS``.

Orders come on standard input, answers go to standard output.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch

from bench.engines.orders import CONTESTANTS, LEAST_BATCHES, Answer, Order
from stage_runtime.allocator import keep_freed_memory
from stage_runtime.engines.choice import Engines, local_engines
from stage_runtime.errors import SplitbedError
from stage_runtime.formats.cell import EngineName
from stage_runtime.shards.store import ShardStore


def time_batches(engines: Engines, engine: EngineName, store: ShardStore, order: Order) -> tuple[float, ...]:
    """Compute batches of a whole model, one to warm up first, and give how long each of the others took, in ms."""
    manifest = store.manifest(order.manifest_id)
    blocks = engines.load(engine, order.manifest_id, 0, len(manifest.blocks), order.batch)
    batch = torch.rand((order.batch, *manifest.input.shape), generator=torch.Generator().manual_seed(0))
    took: list[float] = []
    with torch.inference_mode():
        blocks.forward(batch)
        while len(took) < LEAST_BATCHES or sum(took) < order.seconds * 1e3:
            began = time.perf_counter_ns()
            blocks.forward(batch)
            took.append((time.perf_counter_ns() - began) / 1e6)
    return tuple(took)


def main(arguments: Sequence[str]) -> int:
    """Answer orders until there are no more."""
    name, core, shards = arguments
    contestant = next(one for one in CONTESTANTS if one.name == name)
    os.sched_setaffinity(0, {int(core)})
    if contestant.keeps:
        keep_freed_memory()
    torch.set_num_threads(1)
    store = ShardStore(Path(shards))
    engines = local_engines(Path(shards), "cpu", 1)
    for line in sys.stdin:
        try:
            order = msgspec.json.decode(line, type=Order)
            answer = Answer(ms=time_batches(engines, contestant.engine, store, order))
        except SplitbedError as exc:
            answer = Answer(error=str(exc))
        sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
