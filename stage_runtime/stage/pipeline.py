"""Receive, compute and send at the same time, in bounded memory.

Three threads, coupled by queues.  What bounds them are tokens: a batch is received only into a free slot
(there are at most three), and is computed only while fewer than two outputs wait to be sent or are being
sent.  So a slow neighbour makes the others wait instead of filling the memory, and nothing can wait in
a circle: sending waits only for the next stage to receive, which waits only for its own computing
and sending, and results travel back on a path that is always read.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import torch

from stage_runtime.stage.computing import Computation, Placed
from stage_runtime.stage.plan import StagePlan
from stage_runtime.telemetry.recorder import Recorder
from stage_runtime.tensors import empty, memory_of, share_memory
from stage_runtime.wire.messages import Instants

_OUTPUTS = 2
_RESTS = 6

Item = TypeVar("Item")


class Stopped(Exception):  # noqa: N818  (a signal, not an error)
    """The pipeline was stopped while its caller waited."""


class Slot(NamedTuple):
    """Memory for one input: as a tensor, and as the bytes to receive into."""

    tensor: torch.Tensor
    memory: memoryview


class Timeline:
    """When what happened to each batch, in ``perf_counter_ns``; indices count the warm-up too.

    Without a codec, reading and writing activations take no time, and these instants are left out at the end.
    """

    def __init__(self, total: int, *, coded: bool) -> None:
        self._coded = coded
        self.first_byte = [0] * total
        self.received = [0] * total
        self.decoded = [0] * total
        self.started = [0] * total
        self.computed = [0] * total
        self.encode_started = [0] * total
        self.send_started = [0] * total
        self.sent = [0] * total
        self.batches_received = 0
        self.batches_computed = 0
        self.batches_sent = 0

    def rests(self) -> list[int]:
        """Give how long the stage rested before each of the last few batches computed, the oldest first."""
        last = self.batches_computed
        return [self.started[index] - self.computed[index - 1] for index in range(max(1, last - _RESTS), last)]

    def instants(self) -> Instants:
        """Give all of it, once the run is over."""
        return Instants(
            first_byte=tuple(self.first_byte),
            received=tuple(self.received),
            started=tuple(self.started),
            computed=tuple(self.computed),
            send_started=tuple(self.send_started),
            sent=tuple(self.sent),
            decoded=tuple(self.decoded) if self._coded else (),
            encode_started=tuple(self.encode_started) if self._coded else (),
        )


class Pipeline:
    """One stage's part of one run.  ``on_failure`` is told what ended it, from whichever thread.

    ``send`` writes an output as its codec wants it and sends it, and says when it began to send.
    """

    def __init__(
        self,
        plan: StagePlan,
        computation: Computation,
        *,
        device: str,
        send: Callable[[int, torch.Tensor], int],
        on_failure: Callable[[BaseException, str], None],
    ) -> None:
        self.timeline = Timeline(plan.total, coded=plan.cell.codec != "none")
        self.telemetry = Recorder(device)
        self._plan = plan
        self._computation = computation
        self._send = send
        self._on_failure = on_failure
        self._free: queue.SimpleQueue[Slot | None] = queue.SimpleQueue()
        self._inbox: queue.SimpleQueue[tuple[int, Slot, Placed] | None] = queue.SimpleQueue()
        self._permits: queue.SimpleQueue[bool | None] = queue.SimpleQueue()
        self._outbox: queue.SimpleQueue[tuple[int, torch.Tensor, Slot | None] | None] = queue.SimpleQueue()
        self._last_input: torch.Tensor | None = None
        self._all_sent = threading.Event()
        self._sender = threading.Thread(target=self._guard, args=(self._send_all, "sending"), name="send", daemon=True)
        for _ in range(plan.slots):
            tensor = empty(plan.takes, pinned=device.startswith("cuda"))
            self._free.put(Slot(tensor, memory_of(tensor)))
        for _ in range(_OUTPUTS):
            self._permits.put(True)  # noqa: FBT003  (a token)

    def start(self) -> None:
        """Begin to send; the compute thread is given ``compute`` by the caller."""
        if self._plan.cell.window > 1:
            self._sender.start()

    def stop(self) -> None:
        """Make every thread leave at its next wait; harmless when they have left."""
        self._free.put(None)
        self._inbox.put(None)
        self._permits.put(None)
        self._outbox.put(None)
        self.telemetry.stop()

    def wait_sent(self, timeout_s: float) -> bool:
        """Wait for the last batch to have been sent, and all figures to be there."""
        return self._all_sent.wait(timeout_s)

    def join_sender(self, timeout_s: float) -> None:
        """Wait for the sending thread to leave."""
        if self._sender.ident is not None:
            self._sender.join(timeout_s)

    def take_slot(self, timeout_s: float) -> Slot:
        """Wait for memory to receive a batch into; raises Stopped, or TimeoutError."""
        try:
            return _take(self._free, timeout_s)
        except queue.Empty as exc:
            raise TimeoutError(f"no input was computed in {timeout_s:.1f} s") from exc

    def submit(self, index: int, slot: Slot, *, first_byte_ns: int, received_ns: int, decoded_ns: int) -> None:
        """Hand a received batch over to be computed; what goes wrong with that is this stage's own fault."""
        self.timeline.first_byte[index] = first_byte_ns
        self.timeline.received[index] = received_ns
        self.timeline.decoded[index] = decoded_ns
        self.timeline.batches_received = index + 1
        if index == 0 and self._plan.cell.warmup == 0:
            self.telemetry.begin()
        self._guard(lambda: self._inbox.put((index, slot, self._computation.place(slot.tensor))), "taking a batch")

    def compute(self, count: int) -> None:
        """Compute the next ``count`` batches; a job for the compute thread."""
        self._guard(lambda: self._compute(count), "computing")

    def compute_alone(self, measure: Callable[[torch.Tensor, Sequence[int]], None]) -> None:
        """Give the last batch's input and the last rests to ``measure``; a job for the compute thread."""
        last = self._last_input
        if last is None:
            raise RuntimeError("nothing was computed yet")
        self._guard(lambda: measure(last, self.timeline.rests()), "computing")

    def _guard(self, work: Callable[[], None], doing: str) -> None:
        try:
            work()
        except Stopped:
            return
        except BaseException as exc:  # noqa: BLE001  (whatever ends a thread ends the run, with its reason)
            self._on_failure(exc, doing)

    def _compute(self, count: int) -> None:
        times = self.timeline
        for _ in range(count):
            index, slot, placed = _take(self._inbox)
            _take(self._permits)
            self._last_input = slot.tensor
            times.started[index] = time.perf_counter_ns()
            output = self._computation.compute(placed)
            times.computed[index] = time.perf_counter_ns()
            times.batches_computed = index + 1
            if self._plan.cell.window == 1:
                # nothing to overlap with, and waking the other thread would only add to the latency
                self._send_one(index, output, slot)
            elif share_memory(slot.tensor, output):
                self._outbox.put((index, output, slot))
            else:
                self._free.put(slot)
                self._outbox.put((index, output, None))

    def _send_all(self) -> None:
        for _ in range(self._plan.total):
            index, output, kept = _take(self._outbox)
            self._send_one(index, output, kept)

    def _send_one(self, index: int, output: torch.Tensor, kept: Slot | None) -> None:
        """Send an output, and then give back the slot that had to wait for it."""
        times = self.timeline
        times.encode_started[index] = time.perf_counter_ns()
        times.send_started[index] = self._send(index, output)
        times.sent[index] = time.perf_counter_ns()
        times.batches_sent = index + 1
        self._permits.put(True)  # noqa: FBT003  (a token)
        if kept is not None:
            self._free.put(kept)
        if index == self._plan.cell.warmup - 1 and self._plan.round_after < self._plan.cell.warmup:
            self.telemetry.begin()
        if index == self._plan.total - 1:
            self.telemetry.end()
            self._all_sent.set()


def _take(source: queue.SimpleQueue[Item | None], timeout_s: float | None = None) -> Item:
    item = source.get(timeout=timeout_s)
    if item is None:
        source.put(None)  # whoever else waits here must leave too
        raise Stopped
    return item
