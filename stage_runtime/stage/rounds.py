"""The rounds in which each stage in turn computes alone, and the batches between them."""

from __future__ import annotations

from stage_runtime.errors import TransportError
from stage_runtime.stage.alone import Alone
from stage_runtime.stage.computing import Computation
from stage_runtime.stage.hop import Hop
from stage_runtime.stage.run_state import RunFailed, RunState


class RoundsRun(RunState):
    """A run that computes batches in two parts, with a round alone after each; without a warm-up, in one.

    The word to begin goes down the chain once a stage has had its turn, and back up when all below have had theirs.
    """

    @property
    def alone(self) -> Alone:
        """What measures the blocks alone; there once computing has begun."""
        if self._alone is None:
            raise RuntimeError("the run does not compute yet")
        return self._alone

    def begin_computing(self, computation: Computation) -> None:
        """Have the compute thread take the batches up to the first round."""
        self._alone = Alone(computation, self._workplace.threads, self._workplace.quota_period_s)
        self._compute(self.plan.round_after or self.plan.total)

    def _compute(self, count: int) -> None:
        pipeline = self.pipeline
        self._workplace.compute.submit(lambda: pipeline.compute(count))

    def round_alone(self) -> None:
        """Have this stage compute alone, then those below, one after the other; no batch may be under way."""
        first = self.pipeline.timeline.batches_computed < self.plan.total
        self.phase = "alone"
        if self.plan.mine.first < self.plan.mine.last:
            self._workplace.compute.submit(self._take_turn)
            self.wait_until(lambda: self._turns_taken > self._rounds)
        self.phase = "waiting"
        if self._hop is not None:
            self._round_below(self._hop)
        self._rounds += 1
        self.phase = "running"
        if first:
            if self.plan.round_after == self.plan.cell.warmup:
                self.pipeline.telemetry.begin()
            self._compute(self.plan.total - self.plan.round_after)

    def _take_turn(self) -> None:
        self.pipeline.compute_alone(self.alone.measure)
        with self.changed:
            self._turns_taken += 1
            self.changed.notify_all()

    def _round_below(self, hop: Hop) -> None:
        try:
            hop.send_alone()
        except TransportError as exc:
            raise RunFailed(self.fail(hop.connection_error(exc))) from exc
        self.wait_until(lambda: self._rounds_below > self._rounds)
