"""The first stage's part of a run: feed the inputs, time them, check what comes back."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

import torch
from msgspec import structs
from safetensors.torch import save_file

from stage_runtime.formats.cell import Cell
from stage_runtime.formats.row import Measurement
from stage_runtime.inputs.pictures import PICTURES, Ladder
from stage_runtime.stage import blame
from stage_runtime.stage.deadline import Deadline
from stage_runtime.stage.figures import measurement
from stage_runtime.stage.inputs import Inputs, read_inputs
from stage_runtime.stage.pipeline import Stopped
from stage_runtime.stage.reference import Agreement, read_reference
from stage_runtime.stage.run import Run
from stage_runtime.stage.run_state import RunFailed
from stage_runtime.stage.workplace import Workplace
from stage_runtime.tensors import check_output
from stage_runtime.wire.messages import Error, Progress


class LeaderRun(Run):
    """A run as its first stage sees it; ``measure`` is all of it."""

    def __init__(self, workplace: Workplace, cell: Cell, save_output: Path | None = None) -> None:
        super().__init__(workplace, cell, 0, secrets.randbits(63), Deadline(cell.timeout_s))
        self._inputs: Inputs | None = None
        self._agreement: Agreement | None = None
        self._fed = 0
        self._measured_until = 0
        self._back: list[int] = []
        self._outputs: list[torch.Tensor] = []
        self._save_output = save_output

    def measure(self) -> Measurement:
        """Run the cell once; never raises for anything that goes wrong on the way."""
        started, begin = datetime.now(UTC), time.perf_counter_ns()
        try:
            measured = self._measure()
        except RunFailed as exc:
            error = exc.error
            measured = self._compared(
                Measurement(status=error.status, reason=error.reason, failed_device=error.device, lost=error.lost)
            )
        finally:
            self.clean_up()
            self.over.set()
        elapsed_s = (time.perf_counter_ns() - begin) / 1e9
        return structs.replace(measured, started=started.isoformat(timespec="milliseconds"), elapsed_s=elapsed_s)

    def _measure(self) -> Measurement:
        try:
            self.set_up()
            self._feed()
            figures = self.collect()
            if self._save_output is not None:
                save_file({"output": torch.cat(self._outputs)}, self._save_output)
            return self._compared(measurement(self.cell, figures, self._back, self._measured_until))
        except RunFailed:
            raise
        except Stopped as exc:
            raise RunFailed(self.failure or self.own_error("stopped")) from exc
        except TimeoutError as exc:
            raise RunFailed(self.fail(self.blame())) from exc
        except Exception as exc:
            reason = f"{type(exc).__name__}: {exc}"
            raise RunFailed(self.fail(self.own_error(reason))) from exc

    def prepare(self) -> None:
        """Read the inputs, and what the unsplit model gives for them."""
        folder = self._workplace.inputs_dir
        self._inputs = read_inputs(folder, self.cell.inputs_id, self.plan.takes)
        self._agreement = read_reference(folder, self.cell, self.plan.result)

    def ladder(self) -> Ladder | None:
        """Give that of pictures, where they are sent on as they came; in 8 bits that loses nothing."""
        sends_inputs = self.plan.mine.last == 0
        return PICTURES if sends_inputs and self._inputs is not None and self._inputs.are_pictures() else None

    def _feed(self) -> None:
        """Keep ``window`` batches in flight until all results are back; between and after, have the stages alone."""
        if self._inputs is None:
            raise RuntimeError("the inputs were not read")
        for index in range(self.plan.total):
            if 0 < index == self.plan.round_after:
                self._await_results(index)
                self.round_alone()
            self.wait_until(self._window_open)
            slot = self.pipeline.take_slot(self._deadline.left_s())
            self._inputs.fill(slot.memory, self.cell.batch, index)
            taken = time.perf_counter_ns()
            self._fed += 1
            self.pipeline.submit(index, slot, first_byte_ns=taken, received_ns=taken, decoded_ns=taken)
        self._await_results(self.plan.total)
        self.round_alone()
        self._measured_until = time.perf_counter_ns()

    def _await_results(self, count: int) -> None:
        self.wait_until(lambda: len(self._back) == count)

    def _window_open(self) -> bool:
        return self._fed - len(self._back) < self.cell.window

    def hop_result(self, index: int, output: torch.Tensor, arrived_ns: int) -> None:
        """Note a result, and check it."""
        wrong = check_output(output, self.plan.result)
        if wrong is not None:
            last = self.cell.stages[-1].device
            self.fail(Error(device=last, reason=f"batch {index}: {wrong}", status="invalid"))
            return
        if self._save_output is not None and index >= self.cell.warmup:
            self._outputs.append(output.clone())
        with self.changed:
            self._back.append(arrived_ns)
            self.changed.notify_all()
        self._compare(index, output)

    def _compare(self, index: int, output: torch.Tensor) -> None:
        """Hold a result against the reference; what only warm-up batches may end is a run of wrong results."""
        if self._agreement is None:
            return
        self._agreement.note(index, output)
        objection = self._agreement.objection() if index < max(1, self.cell.warmup) else None
        if objection is not None:
            last = self.cell.stages[-1].device
            self.fail(Error(device=last, reason=f"batch {index}: {objection}", status="invalid"))

    def _compared(self, measured: Measurement) -> Measurement:
        """Add how far the outputs were from the reference, where they were outputs at all."""
        agreement = self._agreement
        if agreement is None or agreement.top1_agreement is None or measured.status not in {"ok", "invalid"}:
            return measured
        return structs.replace(
            measured, relative_error=agreement.relative_error, top1_agreement=agreement.top1_agreement
        )

    def deliver(self, index: int, output: torch.Tensor) -> int:
        """Take the result of a chain of one stage; give when."""
        arrived_ns = time.perf_counter_ns()
        self.hop_result(index, output, arrived_ns)
        return arrived_ns

    def blame(self) -> Error:
        """Say who is to blame for the time being over."""
        seen: dict[int, Progress] = {**self.seen, 0: self.progress()}
        if self.phase == "finishing":
            return blame.blame_figures(self.cell, seen)
        if self.phase == "running":
            return blame.blame_batch(self.cell, seen, len(self._back))
        if self._pipeline is not None:
            return blame.blame_alone(self.cell, seen)
        return blame.blame_setup(self.cell, seen)
