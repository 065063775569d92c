"""A run's connection to the next stage: what goes down, and the thread that reads what comes up."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from typing import Protocol

import torch

from stage_runtime.codecs.choice import Writing
from stage_runtime.errors import FormatError, TransportError, TransportTimeoutError
from stage_runtime.formats.cell import CellStage
from stage_runtime.stage.clock import PingBook
from stage_runtime.stage.deadline import SLACK_S, Deadline
from stage_runtime.stage.plan import StagePlan
from stage_runtime.tensors import empty, memory_of
from stage_runtime.wire.channel import Channel
from stage_runtime.wire.frames import HEADER_BYTES, Header, Kind
from stage_runtime.wire.messages import Configure, Error, Figures, HopReport, Pong, Progress, decode, encode


class Above(Protocol):
    """What a hop tells the run it belongs to, from the reading thread."""

    def hop_ready(self) -> None:
        """Note that all stages below have loaded their blocks."""

    def hop_answered(self) -> None:
        """Note that all pings sent so far were answered."""

    def hop_alone_done(self) -> None:
        """Note that all stages below have computed alone."""

    def hop_result(self, index: int, output: torch.Tensor, arrived_ns: int) -> None:
        """Take a result; ``output`` is overwritten by the next one."""

    def hop_progress(self, progress: Progress) -> None:
        """Note how far a stage below is."""

    def hop_finished(self, figures: Figures) -> None:
        """Take what all stages below noted; every pong came too."""

    def hop_failed(self, error: Error) -> None:
        """Note that a stage below, or the connection, ended the run."""


class Hop:
    """The next stage, for the length of one run."""

    def __init__(
        self,
        *,
        channel: Channel,
        reused: bool,
        run: int,
        plan: StagePlan,
        deadline: Deadline,
        above: Above,
        writing: Writing,
    ) -> None:
        if plan.below is None:
            raise ValueError("the last stage has no hop")
        self.reused = reused
        self.heard = False
        self.pings = PingBook()
        self.target: CellStage = plan.below
        self.channel = channel
        self._run = run
        self._plan = plan
        self._deadline = deadline
        self._above = above
        self._writing = writing
        self._frame_bytes: list[int] = []
        self._result = empty(plan.result)
        self._result_memory = memory_of(self._result)
        self._next_result = 0
        self._result_bytes = 0
        self._figures: Figures | None = None
        self._reader = threading.Thread(target=self._read, name="hop", daemon=True)

    def start(self, configure: Configure) -> None:
        """Tell the next stage its part, and begin to read what it says."""
        self.channel.make_room(self._plan.mine.link_mbit, self._plan.mine.link_rtt_ms)
        self._send(Kind.CONFIGURE, 0, encode(configure))
        self._reader.start()

    def send_pings(self) -> None:
        """Send a train of pings."""
        self.pings.send_train(lambda number: self._send(Kind.PING, number, b""))

    def send_batch(self, index: int, tensor: torch.Tensor) -> int:
        """Write an activation as the codec wants it and send it; give when sending began."""
        codec, parts = self._writing.encode(tensor)
        begun_ns = time.perf_counter_ns()
        timeout_s = self._deadline.left_s(SLACK_S)
        size = self.channel.send_tensors(Kind.BATCH, self._run, index, parts, timeout_s, codec=codec)
        self._frame_bytes.append(size)
        return begun_ns

    def send_alone(self) -> None:
        """Have the stages below compute alone, one after the other."""
        self._send(Kind.ALONE, 0, b"")

    def send_finish(self) -> None:
        """Say that all results are back."""
        self._send(Kind.FINISH, 0, b"")

    def report(self, silence_ms: float) -> HopReport:
        """Say what was noted of this connection, the longest silence on it included; there once it has finished."""
        before, after = self.pings.trains()
        return HopReport(
            silence_ms=silence_ms,
            protection=self.channel.protection,
            frame_bytes=statistics.median_low(self._frame_bytes[self._plan.cell.warmup :]),
            raw_bytes=self._plan.gives.payload_bytes,
            result_bytes=self._result_bytes,
            codec=self._writing.name,
            before=before,
            after=after,
        )

    def abort(self) -> None:
        """Break the connection, so that nothing of this run can reach the next."""
        self.channel.abort()

    def join(self, timeout_s: float) -> bool:
        """Wait for the reading thread; say whether it left."""
        if self._reader.ident is not None:
            self._reader.join(timeout_s)
        return not self._reader.is_alive()

    def _send(self, kind: Kind, index: int, body: bytes) -> None:
        self.channel.send_message(kind, self._run, index, body, self._deadline.left_s())

    def _read(self) -> None:
        device = self.target.device
        handle: dict[Kind, Callable[[Header], None]] = {
            Kind.READY: self._on_ready,
            Kind.PONG: self._on_pong,
            Kind.RESULT: self._on_result,
            Kind.PROGRESS: self._on_progress,
            Kind.ALONE_DONE: self._on_alone_done,
            Kind.FIGURES: self._on_figures,
        }
        try:
            while self._figures is None or not self.pings.complete:
                header = self._next_header()
                if header.kind is Kind.ERROR:
                    self._above.hop_failed(decode(self.channel.receive_body(header), Error))
                    return
                handle.get(header.kind, self._on_other)(header)
            self._above.hop_finished(self._figures)
        except TransportError as exc:
            self._above.hop_failed(self.connection_error(exc))
        except Exception as exc:  # noqa: BLE001  (whatever ends this thread ends the run, with its reason)
            self._above.hop_failed(Error(device=device, reason=f"{type(exc).__name__}: {exc}"))

    def _next_header(self) -> Header:
        header = self.channel.receive_header(self._deadline.left_s(SLACK_S))
        if header.run != self._run:
            raise FormatError(f"a {header.kind.name} frame of another run came from {self.target.device}")
        self.heard = True
        return header

    def _on_other(self, header: Header) -> None:
        raise FormatError(f"{self.target.device} sent a {header.kind.name} frame up the chain")

    def connection_error(self, exc: TransportError) -> Error:
        """Blame the next device for a broken connection."""
        return lost(self.target.device, exc)

    def _on_ready(self, header: Header) -> None:
        self.channel.receive_body(header)
        self._above.hop_ready()

    def _on_pong(self, header: Header) -> None:
        back_ns = time.perf_counter_ns()
        pong = decode(self.channel.receive_body(header), Pong)
        try:
            self.pings.record(header.number, pong.arrived_ns, pong.left_ns, back_ns)
        except KeyError as exc:
            raise FormatError(f"an answer to ping {header.number}, which was never sent") from exc
        if self.pings.answered:
            self._above.hop_answered()

    def _on_result(self, header: Header) -> None:
        descriptors = self.channel.receive_descriptors(header)
        if header.number != self._next_result or descriptors != (self._plan.result,):
            raise FormatError(
                f"result {header.number} of {descriptors} came from {self.target.device}, "
                f"expected number {self._next_result} of {self._plan.result}"
            )
        self.channel.receive_payload(self._result_memory, self._deadline.left_s(SLACK_S))
        self._next_result += 1
        self._result_bytes = HEADER_BYTES + header.body_bytes + header.payload_bytes
        self._above.hop_result(header.number, self._result, time.perf_counter_ns())

    def _on_alone_done(self, header: Header) -> None:
        self.channel.receive_body(header)
        self._above.hop_alone_done()

    def _on_progress(self, header: Header) -> None:
        self._above.hop_progress(decode(self.channel.receive_body(header), Progress))

    def _on_figures(self, header: Header) -> None:
        self._figures = decode(self.channel.receive_body(header), Figures)


def lost(device: str, exc: Exception) -> Error:
    """Blame a neighbour for a connection that broke, or never came about."""
    return Error(
        device=device,
        reason=f"no connection with {device} (any more): {exc}",
        status="timeout" if isinstance(exc, TransportTimeoutError) else "failed",
        lost=True,
    )
