"""How long a stage's blocks take while nothing else in the chain works: what no runtime can undercut.

A stage that rested is faster than one that computes without a pause: a processor quota lets it catch up.  So before
each batch the stage rests as long as it did before one of the run's last batches, and what is measured alone is
measured as well rested as in the run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from stage_runtime.stage.computing import Computation

_MOST_BATCHES = 5
_ROUND_NS = 300_000_000
# Long rests are shortened by whole ones of these, a quota's period as virtual devices are shipped.
_PERIOD_NS = 10_000_000


class Alone:
    """Times of one stage's blocks alone, in ms: ``wall_ms`` by the clock, ``cpu_ms`` of the processor.

    Processor time is the computing thread's where one thread computes, else the process's.
    """

    def __init__(self, computation: Computation, threads: int, quota_period_s: float | None = None) -> None:
        self.wall_ms: list[float] = []
        self.cpu_ms: list[float] = []
        self._computation = computation
        self._cpu_ns = time.thread_time_ns if threads == 1 else time.process_time_ns
        self._period_ns = round(quota_period_s * 1e9) if quota_period_s else _PERIOD_NS

    def measure(self, tensor: torch.Tensor, rests_ns: Sequence[int]) -> None:
        """Compute a batch up to six times, until 0.3 s were computed; the first counts only if it is the only one.

        ``rests_ns`` are how long the stage rested before the run's last batches, the oldest first.
        """
        wall: list[float] = []
        cpu: list[float] = []
        rests = [shorten(rest, self._period_ns) for rest in rests_ns] or [0]
        while len(wall) <= _MOST_BATCHES and sum(wall) * 1e6 < _ROUND_NS:
            rest = rests[len(wall) % len(rests)]
            if rest:
                time.sleep(rest / 1e9)
            began, spent = time.perf_counter_ns(), self._cpu_ns()
            self._computation(tensor)
            cpu.append((self._cpu_ns() - spent) / 1e6)
            wall.append((time.perf_counter_ns() - began) / 1e6)
        counted = slice(1 if len(wall) > 1 else 0, None)
        self.wall_ms += wall[counted]
        self.cpu_ms += cpu[counted]


def shorten(rest_ns: int, period_ns: int) -> int:
    """Shorten a rest by whole periods to less than two: the quota is whole again, the phase is kept."""
    return rest_ns if rest_ns < 2 * period_ns else period_ns + rest_ns % period_ns
