"""Speak to the pickle transport's processes, one on each device."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Protocol, Self

import msgspec

from bench.pickle_chain.orders import Answer, Order
from bench.testbed import BenchError, VirtualTestbed
from stage_runtime.formats.cell import Cell
from sweep.testbed import Device

Start = Callable[[str], AbstractContextManager["subprocess.Popen[str]"]]
_POLL_S = 0.5
_LAST_WORDS = 2000
_CHUNK = 65536


class Worker:
    """One process: tell it an order, hear its answers.  Its output is read line by line, what is no answer kept."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self._name = name
        self._process = process
        self._said = ""
        self._left = b""

    def tell(self, order: Order) -> None:
        """Give an order; BenchError where the process is gone."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(order).decode() + "\n")
            self._process.stdin.flush()
        except OSError as exc:
            raise self._error(f"takes no orders ({exc})") from exc

    def hear(self, timeout_s: float, stopped: Callable[[], bool] = lambda: False) -> Answer:
        """Wait for the next answer; BenchError where it is an error, or none comes."""
        deadline = time.monotonic() + timeout_s
        while True:
            line = self._line(deadline, stopped)
            if line.startswith("{"):
                answer = msgspec.json.decode(line, type=Answer)
                if answer.error:
                    raise self._error(f"answered {answer.error}")
                return answer
            self._said = (self._said + line)[-_LAST_WORDS:]

    def _line(self, deadline: float, stopped: Callable[[], bool]) -> str:
        """Read a line from the pipe itself: what a file object has read ahead no one could wait for."""
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        while b"\n" not in self._left:
            if select.select([pipe], [], [], _POLL_S)[0]:
                more = os.read(pipe, _CHUNK)
                if not more:
                    raise self._error("has ended")
                self._left += more
            elif stopped():
                raise self._error("is not waited for: the benchmark was stopped")
            elif time.monotonic() > deadline:
                raise self._error("did not answer in time")
        line, _, self._left = self._left.partition(b"\n")
        return line.decode(errors="replace") + "\n"

    def _error(self, what: str) -> BenchError:
        said = f"; it said: {self._said.strip()}" if self._said.strip() else ""
        return BenchError(f"the pickle transport on {self._name} {what}{said}")


class Pair(Protocol):
    """What runs both parts of the baseline."""

    def run(self, first: Order, second: Order, timeout_s: float) -> tuple[Answer, Answer]:
        """Run both parts and give what each measured; raises BenchError."""


class Workers:
    """The processes of a chain's two devices; they start with the first run, and anew after one that failed."""

    def __init__(self, names: tuple[str, str], start: Start, stopped: Callable[[], bool] = lambda: False) -> None:
        self._names = names
        self._start = start
        self._stopped = stopped
        self._stack = ExitStack()
        self._workers: list[Worker] = []

    def run(self, first: Order, second: Order, timeout_s: float) -> tuple[Answer, Answer]:
        """Run both parts and give what each measured.

        Raises BenchError where one of them fails; both processes are then ended.
        """
        try:
            if not self._workers:
                self._workers = [Worker(name, self._stack.enter_context(self._start(name))) for name in self._names]
            near, far = self._workers
            far.tell(second)
            listening = far.hear(timeout_s, self._stopped)
            near.tell(msgspec.structs.replace(first, port=listening.port))
            return near.hear(timeout_s, self._stopped), far.hear(timeout_s, self._stopped)
        except BenchError:
            self.close()
            raise

    def close(self) -> None:
        """End the processes."""
        self._workers = []
        self._stack.close()

    def __enter__(self) -> Self:
        """Use the workers in a ``with`` statement."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes."""
        self.close()


def start_on(bed: VirtualTestbed, devices: dict[str, Device]) -> Start:
    """Give what starts the process on a device: with the Python and the packages of its stage, over SSH."""

    def start(name: str) -> AbstractContextManager[subprocess.Popen[str]]:
        words = [f"{devices[name].home}/venv/bin/python", "-m", "bench.pickle_chain"]
        return bed.start(name, words, stdin=subprocess.PIPE)

    return start


def order_for(cell: Cell, device: Device, *, batches: int, least: int, limit_s: float, one_in_flight: bool) -> Order:
    """Write the order for the part of `cell`'s chain that `device` is."""
    first, second = cell.stages
    return Order(
        part="first" if device.name == first.device else "second",
        shards_dir=f"{device.home}/shards",
        inputs_dir=f"{device.home}/inputs",
        manifest_id=cell.manifest_id,
        inputs_id=cell.inputs_id,
        cut=first.last,
        blocks=second.last,
        address=second.address,
        threads=max(1, int(device.cpus or 1)),
        batch=cell.batch,
        batches=batches,
        least=least,
        warmup=cell.warmup,
        limit_s=limit_s,
        one_in_flight=one_in_flight,
        timeout_s=cell.timeout_s,
    )
