"""Ask the engines' processes in turn, round by round."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from bench.engines.orders import CONTESTANTS, Answer, Contestant, Order
from bench.testbed import PROJECT, BenchError
from stage_runtime.formats.manifest import Manifest

_SEED = 0


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What one contestant's batches of a model took in one round, in ms."""

    model: str
    batch: int
    contestant: str
    number: int
    ms: tuple[float, ...]


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
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(msgspec.json.encode(order).decode() + "\n")
            self._process.stdin.flush()
            answer = msgspec.json.decode(self._process.stdout.readline(), type=Answer)
        except (OSError, msgspec.MsgspecError) as exc:
            raise BenchError(f"the process of {self._name} gave no answer ({exc}); its last words are above") from exc
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
) -> Iterator[Round]:
    """Measure every contestant on every model and batch size, `seconds` of computing in each of several rounds.

    They share the last of this process's cores, one computes at a time, and their order is shuffled in each round.
    """
    core = max(os.sched_getaffinity(0))
    order = random.Random(_SEED)  # noqa: S311  (an order, no secret)
    with contextlib.ExitStack() as stack:
        runners = {one.name: Runner(one, core, shards) for one in CONTESTANTS}
        for runner in runners.values():
            stack.callback(runner.close)
        for model, manifest in manifests.items():
            for batch in batches:
                say(f"{model}, batch {batch}: {rounds} rounds of {len(runners)} engines")
                for number in range(rounds):
                    for name in order.sample(list(runners), len(runners)):
                        ms = runners[name].ask(Order(manifest_id=manifest.manifest_id, batch=batch, seconds=seconds))
                        yield Round(model=model, batch=batch, contestant=name, number=number, ms=ms)
