"""Find the fastest engine for a range of blocks by trying each, once per process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import torch

from stage_runtime.engines.base import Blocks
from stage_runtime.errors import EngineError
from stage_runtime.formats.cell import EngineName
from stage_runtime.formats.manifest import TensorSpec

_MOST_RUNS = 5
_LONGEST_S = 0.5
# Speed drifts within a trial, by far less than this: an engine that is so much slower is not worth more runs.
_HOPELESS = 1.5


def fastest(
    names: Iterable[EngineName], load: Callable[[EngineName], Blocks], spec: TensorSpec, batch: int, device: str
) -> EngineName:
    """Give the engine whose blocks, loaded one after the other by ``load``, take the least time for a batch.

    Each runs once to warm up and then up to five times within half a second, and its shortest time counts.
    An engine that cannot run here takes no part; raises EngineError when none can.
    """
    generator = torch.Generator().manual_seed(0)
    shape = (batch, *spec.shape)
    sample = torch.rand(shape, generator=generator).to(device=device, dtype=getattr(torch, spec.dtype))
    times: dict[EngineName, float] = {}
    refusals: list[str] = []
    for name in names:
        try:
            times[name] = _shortest(load(name), sample, min(times.values(), default=float("inf")))
        except EngineError as exc:
            refusals.append(str(exc))
    if not times:
        raise EngineError(f"no engine can run here: {'; '.join(refusals)}")
    return min(times, key=times.__getitem__)


def _shortest(blocks: Blocks, sample: torch.Tensor, to_beat: float) -> float:
    """Time the blocks, the copy of the output to the host included, which waits for a GPU."""
    best, ends = float("inf"), time.perf_counter() + _LONGEST_S
    with torch.inference_mode():
        blocks.forward(sample).to("cpu")
        for _ in range(_MOST_RUNS):
            begun = time.perf_counter()
            blocks.forward(sample).to("cpu")
            done = time.perf_counter()
            best = min(best, done - begun)
            if done > ends or best > _HOPELESS * to_beat:
                break
    return best
