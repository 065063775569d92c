"""What a run is at any moment, whether it has failed, and how its threads learn of each other."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch

from stage_runtime.errors import SplitbedError, TransportError
from stage_runtime.formats.cell import Cell
from stage_runtime.stage.alone import Alone
from stage_runtime.stage.computing import Computation
from stage_runtime.stage.deadline import Deadline
from stage_runtime.stage.hop import Hop
from stage_runtime.stage.pipeline import Pipeline
from stage_runtime.stage.plan import StagePlan
from stage_runtime.stage.pulse import Pulse
from stage_runtime.stage.workplace import Workplace
from stage_runtime.wire.messages import Error, Figures, Phase, Progress

_TICK_S = 1.0


class RunFailed(Exception):  # noqa: N818  (it carries the failure; the run is what failed)
    """The run is over; ``error`` says why."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.reason)
        self.error = error


class RunState:
    """The state of one stage's part in one run.

    It is guarded by ``changed``; other threads report into it, the run's own thread waits on it.  The
    first failure counts, from whichever thread: it stops the pipeline and breaks the connection down.
    """

    def __init__(self, workplace: Workplace, cell: Cell, stage: int, number: int, deadline: Deadline) -> None:
        self.cell = cell
        self.number = number
        self.over = threading.Event()
        self.changed = threading.Condition()
        self.failure: Error | None = None
        self.phase: Phase = "loading"
        self.seen: dict[int, Progress] = {}
        self._workplace = workplace
        self._stage = stage
        self._deadline = deadline
        self._plan: StagePlan | None = None
        self._computation: Computation | None = None
        self._pipeline: Pipeline | None = None
        self._hop: Hop | None = None
        self._hop_stale = False
        self._pulse = Pulse(cell.silence_s, self._on_silence)
        self._below_ready = False
        self._below_figures: Figures | None = None
        self._alone: Alone | None = None
        self._turns_taken = 0
        self._rounds_below = 0
        self._rounds = 0
        self._ended = False

    @property
    def plan(self) -> StagePlan:
        """What this stage has to do; there once ``set_up`` has begun."""
        if self._plan is None:
            raise RuntimeError("the run has no plan yet")
        return self._plan

    @property
    def pipeline(self) -> Pipeline:
        """What does it; there once ``set_up`` is done."""
        if self._pipeline is None:
            raise RuntimeError("the run has no pipeline yet")
        return self._pipeline

    # Waiting and failing

    def wait_until(self, reached: Callable[[], bool]) -> None:
        """Wait until ``reached`` (asked with the lock held); raises RunFailed when it will not be."""
        while True:
            with self.changed:
                if self.failure is not None:
                    raise RunFailed(self.failure)
                if reached():
                    return
                if not self._deadline.over:
                    waiting = self.changed.wait(min(_TICK_S, self._deadline.left_s()))
                    if waiting:
                        continue
            if self._deadline.over:
                raise RunFailed(self.fail(self.blame()))
            self.tick()

    def tick(self) -> None:
        """Do what is to be done about once a second while the run's thread waits."""

    def blame(self) -> Error:
        """Say who is to blame for the time being over."""
        raise NotImplementedError

    def own_error(self, reason: str) -> Error:
        """Blame this device."""
        return Error(device=self._workplace.device, reason=reason)

    def fail(self, error: Error) -> Error:
        """End the run, unless it has failed before or is over; return the error that counts."""
        with self.changed:
            if self.failure is not None:
                return self.failure
            if self._ended:
                return error
            self.failure = error
            self.changed.notify_all()
            pipeline, hop = self._pipeline, self._hop
        if pipeline is not None:
            pipeline.stop()
        if hop is not None:
            hop.abort()
        return error

    def _on_silence(self, device: str, silence_s: float) -> None:
        """End the run because nothing was heard of a neighbour."""
        reason = (
            f"{device} gave no sign of life for {silence_s:.1f} s (silence_s is {self.cell.silence_s:g}): "
            f"its stage stands still, or the link between {device} and {self._workplace.device} is down"
        )
        self.fail(Error(device=device, reason=reason, status="timeout", lost=True))

    def _on_pipeline_failure(self, exc: BaseException, doing: str) -> None:
        if isinstance(exc, TransportError) and self._hop is not None:
            self.fail(self._hop.connection_error(exc))
            return
        what = str(exc) if isinstance(exc, SplitbedError) else f"{type(exc).__name__}: {exc}"
        self.fail(self.own_error(f"{doing} failed: {what}"))

    def progress(self) -> Progress:
        """Say how far this stage is."""
        times = self._pipeline.timeline if self._pipeline is not None else None
        return Progress(
            stage=self._stage,
            phase=self.phase,
            received=times.batches_received if times else 0,
            computed=times.batches_computed if times else 0,
            sent=times.batches_sent if times else 0,
        )

    # What the hop's reading thread reports

    def hop_ready(self) -> None:
        """Note that all stages below have loaded their blocks."""
        with self.changed:
            self._below_ready = True
            self.changed.notify_all()

    def hop_answered(self) -> None:
        """Let the run's thread look whether the pings it waits for were answered."""
        with self.changed:
            self.changed.notify_all()

    def hop_alone_done(self) -> None:
        """Note that all stages below have computed alone."""
        with self.changed:
            self._rounds_below += 1
            self.changed.notify_all()

    def hop_result(self, index: int, output: torch.Tensor, arrived_ns: int) -> None:
        """Take a result."""
        raise NotImplementedError

    def hop_progress(self, progress: Progress) -> None:
        """Note how far a stage below is."""
        with self.changed:
            self.seen[progress.stage] = progress

    def hop_finished(self, figures: Figures) -> None:
        """Take what the stages below noted."""
        with self.changed:
            self._below_figures = figures
            self.changed.notify_all()

    def hop_failed(self, error: Error) -> None:
        """End the run, unless only a kept connection proved dead before it was of any use."""
        with self.changed:
            hop = self._hop
            if hop is not None and hop.reused and not hop.heard:
                self._hop_stale = True
                self.changed.notify_all()
                return
        self.fail(error)
