"""Every other stage's part of a run: take batches from above, give results back up."""

from __future__ import annotations

import logging
import threading
import time

import torch

from stage_runtime import __version__
from stage_runtime.codecs.choice import Reading
from stage_runtime.errors import FormatError, SplitbedError, TransportError
from stage_runtime.stage.deadline import SLACK_S, Deadline
from stage_runtime.stage.hop import lost
from stage_runtime.stage.pipeline import Stopped
from stage_runtime.stage.run import Run
from stage_runtime.stage.run_state import RunFailed
from stage_runtime.stage.workplace import Workplace
from stage_runtime.tensors import memory_of
from stage_runtime.wire.channel import Channel
from stage_runtime.wire.frames import Header, Kind
from stage_runtime.wire.messages import Configure, Error, Progress, encode

_log = logging.getLogger(__name__)

# The first stage keeps the cell's time; the others give up on their own a little later, for when it is gone.
_GRACE_S = 15.0
# How long the stage above may take to close a connection on which it was told of an error.
_FAREWELL_S = 10.0


class FollowerRun(Run):
    """A run as a later stage sees it.

    ``work`` is the run's own thread; ``take_batch``, ``begin_round`` and ``finish`` are called by the thread that
    reads the connection to the stage above.
    """

    def __init__(self, workplace: Workplace, channel: Channel, number: int, told: Configure) -> None:
        super().__init__(workplace, told.cell, told.stage, number, Deadline(told.cell.timeout_s + _GRACE_S))
        self.went_well = False
        self.released = threading.Event()
        self._told = told
        self._channel = channel
        self._ready = threading.Event()
        self._next_batch = 0
        self._reading: Reading | None = None
        self._finish_asked = False
        self._rounds_asked = 0

    def work(self) -> None:
        """Do this stage's part; never raises for anything that goes wrong on the way."""
        try:
            self._work()
        except RunFailed as exc:
            self._send_quietly(Kind.ERROR, encode(exc.error))
        except Exception as exc:  # noqa: BLE001  (a defect; the first device must hear of it too)
            _log.exception("run %x failed", self.number)
            self._send_quietly(Kind.ERROR, encode(self.fail(self.own_error(f"{type(exc).__name__}: {exc}"))))
        finally:
            self._ready.set()
            self.clean_up()
            self.over.set()
        if not self.went_well and not self.released.wait(_FAREWELL_S):
            self._channel.abort()

    def _work(self) -> None:
        self.tick()
        if self._told.runtime != __version__:
            raise RunFailed(
                self.fail(
                    self.own_error(
                        f"it has runtime {__version__}, the stage above {self._told.runtime}; "
                        "run playbooks/provision.yml"
                    )
                )
            )
        above = self.cell.stages[self._stage - 1]
        self._pulse.attend(above.device, self._channel)
        self.set_up()
        self._ready.set()
        try:
            self._channel.make_room(above.link_mbit, above.link_rtt_ms)
            self._send(Kind.READY, 0, b"")
            self._take_part()
            figures = self.collect()
            self._pulse.leave(above.device)  # the last frame is to be the last thing that goes up
            self._send(Kind.FIGURES, 0, encode(figures))
        except TransportError as exc:
            raise RunFailed(self.fail(self._lost_above(exc))) from exc
        with self.changed:
            self.went_well = self.failure is None

    def _take_part(self) -> None:
        """Compute alone whenever it is this stage's turn, until all results have reached the first stage."""
        while True:
            self.wait_until(lambda: self._finish_asked or self._rounds_asked > self._rounds)
            if self._rounds_asked == self._rounds:
                return
            self.round_alone()
            self._send(Kind.ALONE_DONE, 0, b"")

    def take_batch(self, header: Header) -> None:
        """Receive an activation whose header has come; raises Stopped when the run has failed."""
        first_byte_ns = time.perf_counter_ns()
        self._ready.wait()
        if self.failure is not None:
            raise Stopped
        descriptors = self._channel.receive_descriptors(header)
        if header.number != self._next_batch:
            raise FormatError(f"batch {header.number} came, expected {self._next_batch}")
        codec = self._codecs().accept(header.codec, descriptors)
        slot = self.pipeline.take_slot(self._deadline.left_s(SLACK_S))
        payload = slot.memory if codec.name == "none" else self._codecs().memory(header.payload_bytes)
        self._channel.receive_payload(payload, self._deadline.left_s(SLACK_S))
        received_ns = decoded_ns = time.perf_counter_ns()
        if codec.name != "none":
            codec.decode(payload, slot.tensor)
            decoded_ns = time.perf_counter_ns()
        self._next_batch += 1
        self.pipeline.submit(
            header.number, slot, first_byte_ns=first_byte_ns, received_ns=received_ns, decoded_ns=decoded_ns
        )

    def _codecs(self) -> Reading:
        if self._reading is None:
            self._reading = Reading(self.plan.takes, self.cell.codec)
        return self._reading

    def begin_round(self) -> None:
        """Note that the stages above have computed alone."""
        with self.changed:
            self._rounds_asked += 1
            self.changed.notify_all()

    @property
    def asked_to_finish(self) -> bool:
        """Say whether all results have reached the first stage, so that another cell may follow."""
        return self._finish_asked

    def finish(self) -> None:
        """Note that all results have reached the first stage."""
        with self.changed:
            self._finish_asked = True
            self.changed.notify_all()

    def lost_above(self, exc: Exception) -> None:
        """End the run because of what went wrong with the stage above, or here with what came from it."""
        if isinstance(exc, TransportError):
            self.fail(self._lost_above(exc))
        elif isinstance(exc, SplitbedError):  # it sent what no stage sends
            self.fail(Error(device=self.cell.stages[self._stage - 1].device, reason=str(exc)))
        else:
            self.fail(self.own_error(f"taking a batch failed: {type(exc).__name__}: {exc}"))

    def _on_silence(self, device: str, silence_s: float) -> None:
        super()._on_silence(device, silence_s)
        if device == self.cell.stages[self._stage - 1].device:
            self._channel.abort()  # whoever waits to send up would wait for good

    def _lost_above(self, exc: Exception) -> Error:
        return lost(self.cell.stages[self._stage - 1].device, exc)

    def deliver(self, index: int, output: torch.Tensor) -> int:
        """Send the last stage's output up, as it is; give when that began."""
        begun_ns = time.perf_counter_ns()
        self._relay(index, output)
        return begun_ns

    def hop_result(self, index: int, output: torch.Tensor, arrived_ns: int) -> None:  # noqa: ARG002  (the first stage's concern)
        """Pass a result on, up the chain."""
        try:
            self._relay(index, output)
        except TransportError as exc:
            self.lost_above(exc)

    def _relay(self, index: int, output: torch.Tensor) -> None:
        tensors = [(self.plan.result, memory_of(output))]
        self._channel.send_tensors(Kind.RESULT, self.number, index, tensors, self._deadline.left_s(SLACK_S))

    def hop_progress(self, progress: Progress) -> None:
        """Pass a sign of life on, up the chain."""
        self._send_quietly(Kind.PROGRESS, encode(progress))

    def tick(self) -> None:
        """Give a sign of life."""
        self._send_quietly(Kind.PROGRESS, encode(self.progress()))

    def blame(self) -> Error:
        """Say that the stage above gave no end to the run."""
        device = self.cell.stages[self._stage - 1].device
        return Error(device=device, reason=f"{device} did not end the cell in time", status="timeout")

    def _send(self, kind: Kind, index: int, body: bytes) -> None:
        self._channel.send_message(kind, self.number, index, body, self._deadline.left_s())

    def _send_quietly(self, kind: Kind, body: bytes) -> None:
        """Send what nobody may be left to hear."""
        try:
            self._send(kind, 0, body)
        except TransportError as exc:
            _log.info("could not tell the stage above (%s): %s", kind.name, exc)
