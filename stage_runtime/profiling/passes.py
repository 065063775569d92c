"""Time passes of a whole model: which passes in which order, and one pass with or without marks between blocks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn

# However long they take, so that a mean has something to be the mean of.
LEAST_PASSES = 3


class Pass(NamedTuple):
    """One pass: the place of its batch size among those asked for, and whether blocks are marked."""

    batch: int
    marked: bool


def plan_round(number: int, batches: int) -> tuple[Pass, ...]:
    """Give the passes of one round: each of so many batch sizes once with marks and once without.

    From round to round the other kind of pass comes first, and every other round another batch size, so that
    what a pass leaves behind in caches and allocators falls on all alike.
    """
    order = [(number // 2 + place) % batches for place in range(batches)]
    marked_first = number % 2 == 0
    return tuple(Pass(batch, marked) for batch in order for marked in (marked_first, not marked_first))


def rounds(passes: int, warmup: int, most_s: float) -> Iterator[tuple[int, bool]]:
    """Yield each round's number and whether it is kept, until there are enough.

    `warmup` rounds come first.  Once `most_s` seconds are over (0: never) no more than
    LEAST_PASSES are kept.
    """
    begun = time.monotonic()
    for number in range(warmup + passes):
        kept = number - warmup
        if most_s and kept >= LEAST_PASSES and time.monotonic() - begun > most_s:
            return
        yield number, kept >= 0


class Clock(Protocol):
    """Takes marks in the stream of computing."""

    def mark(self) -> Any:
        """Take a mark."""

    def spans_ms(self, marks: Sequence[Any]) -> tuple[float, ...]:
        """Give the milliseconds between each mark and the next."""


class HostClock:
    """Marks on the CPU, where a block is over when its call returns."""

    def mark(self) -> int:
        """Take a mark."""
        return time.perf_counter_ns()

    def spans_ms(self, marks: Sequence[int]) -> tuple[float, ...]:
        """Give the milliseconds between each mark and the next."""
        return tuple((after - before) / 1e6 for before, after in pairwise(marks))


class CudaClock:
    """Marks in a GPU's stream: the GPU notes when it gets there, and nobody waits between the blocks."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def mark(self) -> torch.cuda.Event:
        """Take a mark."""
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch's own gap
        event.record(torch.cuda.current_stream(self._device))
        return event

    def spans_ms(self, marks: Sequence[torch.cuda.Event]) -> tuple[float, ...]:
        """Wait for the GPU, and give the milliseconds between each mark and the next."""
        torch.cuda.synchronize(self._device)
        return tuple(round(before.elapsed_time(after), 6) for before, after in pairwise(marks))


def clock_for(device: torch.device) -> Clock:
    """Choose the clock of a device."""
    return CudaClock(device) if device.type == "cuda" else HostClock()


def marked_pass(steps: nn.Sequential, batch: torch.Tensor, clock: Clock) -> tuple[float, ...]:
    """Run the steps one after the other and give each one's milliseconds."""
    marks = [clock.mark()]
    with torch.inference_mode():
        for step in steps:
            batch = step(batch)
            marks.append(clock.mark())
    return clock.spans_ms(marks)


def whole_pass(steps: nn.Sequential, batch: torch.Tensor, clock: Clock) -> float:
    """Run the steps as the one module that they are and give its milliseconds."""
    begin = clock.mark()
    with torch.inference_mode():
        steps(batch)
        end = clock.mark()
    return clock.spans_ms((begin, end))[0]
