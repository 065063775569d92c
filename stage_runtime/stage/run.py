"""What leader and follower have in common: one stage's part in one run, from set-up to clean-up."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import torch

from stage_runtime import __version__
from stage_runtime.errors import CellError, SplitbedError, TransportError
from stage_runtime.formats.cell import Cell
from stage_runtime.stage.clock import ClockEstimate
from stage_runtime.stage.computing import Computation
from stage_runtime.stage.deadline import Deadline
from stage_runtime.stage.figures import join_figures, stage_figures
from stage_runtime.stage.hop import Hop, lost
from stage_runtime.stage.pipeline import Pipeline
from stage_runtime.stage.plan import StagePlan, check_device, plan_stage, read_manifest
from stage_runtime.stage.workplace import Workplace
from stage_runtime.telemetry.process import memory_figures
from stage_runtime.wire.messages import Configure, Error, Figures, Phase, Progress

_log = logging.getLogger(__name__)

_TICK_S = 1.0
_JOIN_S = 5.0


class RunFailed(Exception):  # noqa: N818  (it carries the failure; the run is what failed)
    """The run is over; ``error`` says why."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.reason)
        self.error = error


class Run:
    """One stage's part in one run.

    State is guarded by ``changed``; other threads report into it, the run's own thread waits on it.  The
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
        self._below_ready = False
        self._below_figures: Figures | None = None
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

    # Set-up

    def set_up(self) -> None:
        """Load the blocks while the stages below do the same; return when all are ready.

        Raises RunFailed.
        """
        try:
            check_device(self.cell, self._stage, self._workplace.device)
            manifest = read_manifest(self._workplace.shards_dir, self.cell.manifest_id)
            self._plan = plan_stage(self.cell, self._stage, manifest)
            self.prepare()
        except CellError as exc:
            raise RunFailed(self.fail(Error(device=exc.device, reason=exc.reason))) from exc
        except SplitbedError as exc:
            raise RunFailed(self.fail(self.own_error(str(exc)))) from exc
        self._workplace.compute.submit(self._load)
        if self.plan.below is not None:
            self._open_hop()
        self._wait_ready()
        self._pipeline = Pipeline(
            self.plan,
            self._loaded(),
            device=self._workplace.accelerator,
            send=self._hop.send_batch if self._hop is not None else self.deliver,
            on_failure=self._on_pipeline_failure,
        )
        with self.changed:
            failed = self.failure is not None
            self.phase = "running"
        if failed:
            self._pipeline.stop()  # fail() came before there was anything to stop
        self._pipeline.start()
        self._workplace.compute.submit(self._pipeline.compute_all)

    def prepare(self) -> None:
        """Do what else a kind of run needs before it starts; may raise SplitbedError."""

    def deliver(self, index: int, output: torch.Tensor) -> None:
        """Take an output of the last stage."""
        raise NotImplementedError

    def _load(self) -> None:
        if self.failure is not None:
            return
        mine = self.plan.mine
        try:
            # also without blocks of its own: loading none lets go of those of the last cell
            blocks = self._workplace.loader.load(self.cell.manifest_id, mine.first, mine.last)
            computation = Computation(blocks, self._workplace.accelerator, self.plan)
        except Exception as exc:  # noqa: BLE001  (whatever it is, the first device must hear of it)
            what = str(exc) if isinstance(exc, SplitbedError) else f"{type(exc).__name__}: {exc}"
            self.fail(self.own_error(f"cannot load blocks [{mine.first}, {mine.last}): {what}"))
            return
        with self.changed:
            self._computation = computation
            self.phase = "waiting"
            self.changed.notify_all()

    def _loaded(self) -> Computation:
        if self._computation is None:
            raise RuntimeError("the blocks are not loaded")
        return self._computation

    def _open_hop(self) -> None:
        """Configure the next stage; a kept connection that turns out to be dead is replaced once."""
        below = self.plan.below
        if below is None:
            return
        neighbours = self._workplace.neighbours
        channel = neighbours.take(below)
        reused = channel is not None
        try:
            channel = channel or neighbours.connect(below, self._deadline)
        except TransportError as exc:
            raise RunFailed(self.fail(lost(below.device, exc))) from exc
        hop = Hop(
            channel=channel,
            reused=reused,
            run=self.number,
            plan=self.plan,
            deadline=self._deadline,
            above=self,
        )
        with self.changed:
            self._hop, self._hop_stale = hop, False
        try:
            hop.start(Configure(runtime=__version__, stage=self._stage + 1, cell=self.cell))
            hop.send_pings()
        except TransportError as exc:
            self.hop_failed(hop.connection_error(exc))

    def _wait_ready(self) -> None:
        def loaded_all() -> bool:
            ready = self._below_ready or self.plan.below is None
            return self._hop_stale or (ready and self._computation is not None)

        self.wait_until(loaded_all)
        if self._hop_stale and self._hop is not None:
            self._drop_hop(self._hop)
            self._open_hop()
            self.wait_until(loaded_all)

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

    def hop_result(self, index: int, output: torch.Tensor, arrived_ns: int) -> None:
        """Take a result."""
        raise NotImplementedError

    def hop_progress(self, progress: Progress) -> None:
        """Note how far a stage below is."""
        with self.changed:
            self.seen[progress.stage] = progress

    def hop_finished(self, figures: Figures) -> None:
        """Take the figures of the stages below."""
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

    # The end

    def collect(self) -> Figures:
        """Finish the stages below, and join their figures to this stage's; raises RunFailed."""
        self.phase = "finishing"
        below: tuple[Figures, ClockEstimate, int] | None = None
        hop = self._hop
        if hop is not None:
            try:
                hop.send_finish()
                hop.send_pings()
            except TransportError as exc:
                raise RunFailed(self.fail(hop.connection_error(exc))) from exc
            self.wait_until(lambda: self._below_figures is not None)
            if self._below_figures is None:
                raise RuntimeError("the figures vanished")
            below = self._below_figures, hop.pings.estimate(), hop.bytes_per_batch
        if not self.pipeline.wait_sent(_JOIN_S):
            raise RuntimeError("the last batch was never sent")
        mine = stage_figures(
            self.plan,
            self.pipeline,
            accelerator=self._workplace.accelerator,
            threads=self._workplace.threads,
            load_ms=self._loaded().load_ms,
            memory=memory_figures(),
        )
        return join_figures(self.plan, self.pipeline.timeline, mine, self._warnings(), below)

    def _warnings(self) -> tuple[str, ...]:
        if self._workplace.oversubscribed:
            return (f"{self._workplace.device} shares its processor cores with other virtual devices",)
        return ()

    def clean_up(self) -> None:
        """Leave nothing of the run behind; a connection is kept only when the run went well."""
        with self.changed:
            self._ended = True  # from here on nobody may abort a connection that is put back
            failed = self.failure is not None
        hop, pipeline = self._hop, self._pipeline
        if pipeline is not None:
            pipeline.stop()
        if hop is not None and (failed or self._below_figures is None):
            self._drop_hop(hop)
        elif hop is not None:
            hop.join(_JOIN_S)
            self._workplace.neighbours.put_back(hop.target, hop.channel)
        if pipeline is not None:
            pipeline.join_sender(_JOIN_S)

    def _drop_hop(self, hop: Hop) -> None:
        hop.abort()
        if hop.join(_JOIN_S):
            hop.channel.close()
        else:
            _log.error("the thread reading from %s did not end", hop.target.device)
