"""Ask the engines' processes in turn, round by round."""

from __future__ import annotations

import contextlib
import math
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from bench.engines.orders import BESIDE, CONTESTANTS, LEAST_BATCHES, Answer, Contestant, Order
from bench.testbed import PROJECT, BenchError
from stage_runtime.formats.manifest import Manifest

_SEED = 0
_START_S = 0.05
# How much longer the neighbour is to compute than the measured one may need.
_MARGIN = 1.5


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What one contestant's batches of a model took in one round, in ms; ``beside``: while another core computed."""

    model: str
    batch: int
    contestant: str
    number: int
    ms: tuple[float, ...]
    beside: bool = False


class Runner:
    """A contestant's process."""

    def __init__(self, contestant: Contestant, core: int, shards: Path) -> None:
        self._name = contestant.name
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.engines.runner", contestant.name, str(core), str(shards)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    def ask(self, order: Order) -> tuple[float, ...]:
        """Have it compute, and give how long each batch took, in ms; raises BenchError where it cannot."""
        self.tell(order)
        return self.hear()

    def tell(self, order: Order) -> None:
        """Have it begin to compute; raises BenchError where its process is gone."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(order).decode() + "\n")
            self._process.stdin.flush()
        except OSError as exc:
            raise BenchError(f"the process of {self._name} takes no orders ({exc}); see above for why") from exc

    def hear(self) -> tuple[float, ...]:
        """Wait for its answer to the last order: how long each batch took, in ms; raises BenchError."""
        assert self._process.stdout is not None
        try:
            answer = msgspec.json.decode(self._process.stdout.readline(), type=Answer)
        except msgspec.MsgspecError as exc:
            raise BenchError(f"the process of {self._name} gave no answer ({exc}); see above for why") from exc
        if answer.error:
            raise BenchError(f"{self._name}: {answer.error}")
        return answer.ms

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.communicate()


def measure(
    manifests: Mapping[str, Manifest],
    batches: Sequence[int],
    *,
    rounds: int,
    seconds: float,
    shards: Path,
    say: Callable[[str], object],
    contestants: Sequence[Contestant] = CONTESTANTS,
) -> Iterator[Round]:
    """Measure contestants on every model and batch size, `seconds` of computing in each of several rounds.

    They share the last of this process's cores, one computes at a time, and their order is shuffled in each round.
    Where there is another core, those of ``BESIDE`` are measured once more while the same engine computes there.
    """
    *others, core = sorted(os.sched_getaffinity(0))
    order = random.Random(_SEED)  # noqa: S311  (an order, no secret)
    with contextlib.ExitStack() as stack:
        runners = {one.name: Runner(one, core, shards) for one in contestants}
        neighbours = {one.name: Runner(one, others[-1], shards) for one in contestants if others and one.name in BESIDE}
        for runner in (*runners.values(), *neighbours.values()):
            stack.callback(runner.close)
        for model, manifest in manifests.items():
            for batch in batches:
                say(f"{model}, batch {batch}: {rounds} rounds of {len(runners)} engines")
                for number in range(rounds):
                    for name in order.sample(list(runners), len(runners)):
                        wanted = Order(manifest_id=manifest.manifest_id, batch=batch, seconds=seconds)
                        ms = runners[name].ask(wanted)
                        yield Round(model=model, batch=batch, contestant=name, number=number, ms=ms)
                        if name in neighbours:
                            ms = _ask_beside(runners[name], neighbours[name], wanted, statistics.median(ms))
                            yield Round(model=model, batch=batch, contestant=name, number=number, ms=ms, beside=True)


def _ask_beside(runner: Runner, neighbour: Runner, order: Order, batch_ms: float) -> tuple[float, ...]:
    """Have a runner compute from when the neighbour has begun to until before it has done, as `batch_ms` foretells."""
    neighbour.ask(msgspec.structs.replace(order, seconds=0.0))  # it loads the model
    batches = 1 + max(LEAST_BATCHES, math.ceil(order.seconds * 1e3 / batch_ms))
    neighbour.tell(msgspec.structs.replace(order, seconds=_START_S + _MARGIN * batches * batch_ms / 1e3))
    time.sleep(_START_S)
    ms = runner.ask(order)
    neighbour.hear()
    return ms
