"""Compare what each device gives for the same images: whether a GPU computes what the processor does."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

from sweep.direct.field import DirectField, StageOrders
from sweep.direct.stages import Stage
from sweep.errors import StageError
from sweep.interrupt import Control
from sweep.locks import hold_devices
from sweep.matrix import Run, cell_for
from sweep.options import Options
from sweep.places import LOCKS
from sweep.plan import Prepared, plan
from sweep.progress import Screen
from sweep.testbed import Testbed

EXIT_AGREE, EXIT_DISAGREE = 0, 1
# Ten times what a GPU's convolutions with 10 bits of mantissa (TF32) did to outputs, before stages switched them off.
MOST_DIFFERENCE = 1e-2
_BATCHES = 3
_IDLE_S = 600.0
_CELL_S = 300.0

Array = npt.NDArray[np.float32]


class Agreement(NamedTuple):
    """How far an output is from another: the greatest difference over the greatest value, and equal top classes."""

    difference: float
    same_classes: bool

    @property
    def good(self) -> bool:
        """Whether both come from the same model and images."""
        return self.difference <= MOST_DIFFERENCE


def agreement(reference: Array, output: Array) -> Agreement:
    """Compare two outputs of shape (images, classes); one of another shape, or not finite, agrees in nothing."""
    if reference.shape != output.shape or not np.isfinite(output).all():
        return Agreement(float("inf"), same_classes=False)
    difference = float(np.abs(output - reference).max() / np.abs(reference).max())
    return Agreement(difference, bool((output.argmax(axis=1) == reference.argmax(axis=1)).all()))


def check_outputs(options: Options, testbed: Testbed, field: DirectField, screen: Screen, control: Control) -> int:
    """Run each model whole on every device and cut in the middle; compare the outputs with the first device's.

    Gives the exit status: 0 where all agree, 1 where one does not or is missing.
    """
    (names,) = testbed.chains.values()
    devices = field.devices(names)
    once = {"transports": ("tcp",), "window": (1,), "batch": options.batch[:1], "repeats": 1, "most_repeats": 1}
    with tempfile.TemporaryDirectory() as folder, hold_devices(LOCKS, devices, "(a check of outputs)"):
        here = Path(folder)
        prepared = plan(msgspec.structs.replace(options, **once), testbed, here / "no journal", screen)
        secret = here / "secret"
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_hex(32))
        told = StageOrders(secret_file=secret, idle_s=_IDLE_S, oversubscribed=False, uses_rpc=False)
        try:
            _make_ready(field, names, here, screen, control)
            with field.stages(devices, told, control.cancelled) as stages:
                check = _Check(prepared, testbed, stages[0], here / "output", screen)
                agreed = [check.compare(model, control) for model in prepared.manifests]
        except StageError as exc:
            screen.line(f"{exc.device}: {exc}")
            return EXIT_DISAGREE
    return EXIT_AGREE if all(agreed) else EXIT_DISAGREE


def _make_ready(field: DirectField, names: tuple[str, ...], folder: Path, screen: Screen, control: Control) -> None:
    parked = field.make_ready(
        names,
        shards={},
        idle_s=_IDLE_S,
        folder=folder,
        say=screen.line,
        stopping=control.stopping,
        cancelled=control.cancelled,
    )
    for device, reason in parked.items():
        raise StageError(device, reason)
    if control.stopping():
        raise StageError(names[0], "the check was stopped")


class _Check(NamedTuple):
    """What it takes to run a model and to see what it gave; `output` is the file that stages write to."""

    prepared: Prepared
    testbed: Testbed
    leader: Stage
    output: Path
    screen: Screen

    def compare(self, model: str, control: Control) -> bool:
        """Run a model's chosen cells, say how well each agrees with the first, and tell whether all do."""
        reference: Array | None = None
        agreed = True
        for run in _chosen(self.prepared, model):
            found = None if control.stopping() else self._output_of(run, control)
            if found is None:
                agreed = False
                continue
            reference = found if reference is None else reference
            told = agreement(reference, found)
            agreed &= told.good
            classes = "same classes" if told.same_classes else "OTHER CLASSES"
            verdict = "agrees" if told.good else "DISAGREES"
            self.screen.line(
                f"{model} {run.cell.split}: {verdict}, differs by {told.difference:.1e} of the largest, {classes}"
            )
        return agreed

    def _output_of(self, run: Run, control: Control) -> Array | None:
        model = run.cell.model
        cell = cell_for(
            run,
            self.testbed,
            manifest_id=self.prepared.manifests[model].manifest_id,
            inputs_id=self.prepared.inputs[model],
            batches=_BATCHES,
            timeout_s=_CELL_S,
        )
        measured = self.leader.run(cell, control.cancelled, self.output)
        if measured.status != "ok":
            self.screen.line(f"{model} {cell.split}: {measured.status.upper()}: {measured.reason}")
            return None
        found: Array = load_file(self.output)["output"]
        return found


def _chosen(prepared: Prepared, model: str) -> list[Run]:
    """Choose the whole model on every device, the first one first, and the cut in the middle."""
    (condition,) = prepared.plans
    runs = [run for run in condition.runs if run.cell.model == model]
    whole = {run.cell.split: run for run in runs if not run.cell.cut}
    cut = sorted((run for run in runs if run.cell.cut), key=lambda run: run.cell.cut)
    return [*(whole[f"only:{device}"] for device in condition.devices), *cut[len(cut) // 2 :][:1]]
