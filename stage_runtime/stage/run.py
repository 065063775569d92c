"""What leader and follower have in common: one stage's part in one run, from set-up to clean-up."""

from __future__ import annotations

import gc
import logging

import torch

from stage_runtime import __version__
from stage_runtime.codecs.choice import Writing
from stage_runtime.codecs.trial import LinkTrial
from stage_runtime.errors import CellError, SplitbedError, TransportError
from stage_runtime.inputs.pictures import Ladder
from stage_runtime.stage.computing import Computation
from stage_runtime.stage.hop import Hop, lost
from stage_runtime.stage.pipeline import Pipeline
from stage_runtime.stage.plan import check_device, plan_stage, read_manifest
from stage_runtime.stage.rounds import RoundsRun
from stage_runtime.stage.run_state import RunFailed
from stage_runtime.telemetry.machine import own_cores, read_machine
from stage_runtime.wire.messages import Configure, Error, Figures, StageReport

_log = logging.getLogger(__name__)

_JOIN_S = 5.0


class Run(RoundsRun):
    """One stage's part in one run."""

    def set_up(self) -> None:
        """Load the blocks while the stages below do the same; return when all are ready.

        Raises RunFailed.
        """
        try:
            check_device(self.cell, self._stage, self._workplace.device)
            manifest = read_manifest(self._workplace.shards_dir, self.cell.manifest_id)
            self._plan = plan_stage(self.cell, self._stage, manifest)
            if self._plan.below is not None:
                self._workplace.neighbours.require(self.cell.transport, tls=self.cell.tls)
            self.prepare()
        except CellError as exc:
            raise RunFailed(self.fail(Error(device=exc.device, reason=exc.reason))) from exc
        except SplitbedError as exc:
            raise RunFailed(self.fail(self.own_error(str(exc)))) from exc
        self._workplace.compute.submit(self._load)
        if self.plan.below is not None:
            self._open_hop()
        self._wait_ready()
        self._measure_clock()
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
        self._pulse.begin()
        if failed:
            self._pipeline.stop()  # fail() came before there was anything to stop
        self._pipeline.start()
        self.begin_computing(self._loaded())

    def prepare(self) -> None:
        """Do what else a kind of run needs before it starts; may raise SplitbedError."""

    def ladder(self) -> Ladder | None:
        """Say what ladder all values of this stage's outputs lie on, if it knows one."""
        return None

    def deliver(self, index: int, output: torch.Tensor) -> int:
        """Take an output of the last stage; give when that began."""
        raise NotImplementedError

    def _load(self) -> None:
        if self.failure is not None:
            return
        # A run that is over is a circle of objects, with its buffers; left alone they pile up for hundreds of cells.
        gc.collect()
        mine = self.plan.mine
        try:
            # also without blocks of its own: loading none lets go of those of the last cell
            cell = self.cell
            blocks = self._workplace.engines.load(cell.engine, cell.manifest_id, mine.first, mine.last, cell.batch)
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
        channel = neighbours.take(below, self.cell.transport)
        reused = channel is not None
        try:
            channel = channel or neighbours.connect(below, self.cell.transport, self._deadline, self.cell.silence_s)
        except TransportError as exc:
            raise RunFailed(self.fail(lost(below.device, exc))) from exc
        ladder = self.ladder() if self.cell.codec != "none" else None
        trial = LinkTrial(self.plan.mine.link_mbit, self.cell.window, self._first_compute_s, ladder)
        hop = Hop(
            channel=channel,
            reused=reused,
            run=self.number,
            plan=self.plan,
            deadline=self._deadline,
            above=self,
            writing=Writing(self.plan.gives, self.cell.codec, trial.choose, ladder),
        )
        with self.changed:
            self._hop, self._hop_stale = hop, False
        try:
            hop.start(Configure(runtime=__version__, stage=self._stage + 1, cell=self.cell))
        except TransportError as exc:
            self.hop_failed(hop.connection_error(exc))
            return
        self._pulse.attend(below.device, channel)

    def _first_compute_s(self) -> float:
        times = self.pipeline.timeline
        return (times.computed[0] - times.started[0]) / 1e9

    def _wait_ready(self) -> None:
        def loaded_all() -> bool:
            ready = self._below_ready or self.plan.below is None
            return self._hop_stale or (ready and self._computation is not None)

        self.wait_until(loaded_all)
        if self._hop_stale and self._hop is not None:
            self._drop_hop(self._hop)
            self._open_hop()
            self.wait_until(loaded_all)

    def _measure_clock(self) -> None:
        """Exchange the pings before the run, when all stages below have loaded and nobody computes.

        Waits for the answers, since whoever computes meanwhile would be late to note when they were back.
        """
        hop = self._hop
        if hop is None:
            return
        try:
            hop.send_pings()
        except TransportError as exc:
            raise RunFailed(self.fail(hop.connection_error(exc))) from exc
        self.wait_until(lambda: hop.pings.answered)

    def collect(self) -> Figures:
        """Finish the stages below, and put what this stage noted before what they did; raises RunFailed."""
        self.phase = "finishing"
        below = Figures(stages=(), hops=())
        hop = self._hop
        if hop is not None:
            below = self._finish_below(hop)
        if not self.pipeline.wait_sent(_JOIN_S):
            raise RuntimeError("the last batch was never sent")
        hops = (hop.report(self._pulse.longest_ms(hop.target.device)),) if hop is not None else ()
        return Figures(stages=(self._report(), *below.stages), hops=(*hops, *below.hops))

    def _finish_below(self, hop: Hop) -> Figures:
        """Exchange the pings after the run; the end of it follows them, so that no figures get in their way."""
        try:
            hop.send_pings()
            hop.send_finish()
        except TransportError as exc:
            raise RunFailed(self.fail(hop.connection_error(exc))) from exc
        self.wait_until(lambda: self._below_figures is not None)
        if self._below_figures is None:
            raise RuntimeError("the figures vanished")
        return self._below_figures

    def _report(self) -> StageReport:
        return StageReport(
            accelerator=self._workplace.accelerator,
            threads=self._workplace.threads,
            engine=self._loaded().engine,
            load_ms=self._loaded().load_ms,
            instants=self.pipeline.timeline.instants(),
            telemetry=self.pipeline.telemetry.figures(),
            alone_ms=tuple(self.alone.wall_ms),
            alone_cpu_ms=tuple(self.alone.cpu_ms),
            cores_shared=self._workplace.oversubscribed,
            cores=own_cores(),
            machine=read_machine(),
            processors=self._workplace.processors,
            silence_ms=self._pulse.longest_ms(self.cell.stages[self._stage - 1].device) if self._stage else 0.0,
        )

    def clean_up(self) -> None:
        """Leave nothing of the run behind; a connection is kept only when the run went well."""
        with self.changed:
            self._ended = True  # from here on nobody may abort a connection that is put back
            failed = self.failure is not None
        hop, pipeline = self._hop, self._pipeline
        self._pulse.stop()  # a beat must not reach a connection that is put back
        if pipeline is not None:
            pipeline.stop()
        if hop is not None and (failed or self._below_figures is None):
            self._drop_hop(hop)
        elif hop is not None:
            hop.join(_JOIN_S)
            self._workplace.neighbours.put_back(hop.target, self.cell.transport, hop.channel)
        if pipeline is not None:
            pipeline.join_sender(_JOIN_S)

    def _drop_hop(self, hop: Hop) -> None:
        self._pulse.leave(hop.target.device)
        hop.abort()
        if hop.join(_JOIN_S):
            hop.channel.close()
        else:
            _log.error("the thread reading from %s did not end", hop.target.device)
