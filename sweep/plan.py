"""Plan a campaign: what there is to run, what of it is done, how long the rest will take."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import msgspec

from links.conditions import parse_condition
from stage_runtime.formats.manifest import Manifest
from stage_runtime.models.names import PAPER
from sweep.estimate import Estimator
from sweep.journal import read_outcomes, read_rows
from sweep.making import make_inputs, make_shards
from sweep.matrix import ConditionPlan, Run, plan_matrix, refuse_useless_splits
from sweep.options import Options
from sweep.progress import Screen, clock
from sweep.provenance import file_digest
from sweep.testbed import Testbed


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A planned campaign: manifests and inputs by model, the plan, and what of it is left to do."""

    manifests: dict[str, Manifest]
    inputs: dict[str, str]
    plans: tuple[ConditionPlan, ...]
    left: tuple[ConditionPlan, ...]

    @property
    def total(self) -> int:
        """Runs of the whole plan."""
        return sum(len(plan.runs) for plan in self.plans)

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that this invocation needs."""
        return tuple(dict.fromkeys(device for plan in self.left for device in plan.devices))

    @property
    def remaining(self) -> int:
        """Runs that this invocation has to do."""
        return sum(len(plan.runs) for plan in self.left)


def _sources(options: Options) -> dict[str, str]:
    """Name where weights and inputs come from by content, since both define a cell."""
    file = Path(options.weights)  # absolute where the option named a file
    weights = f"file:{file_digest(file)}" if file.is_absolute() else options.weights
    inputs = options.inputs
    if inputs != "default":
        pictures = sorted(path for path in Path(inputs).iterdir() if path.is_file())
        inputs = "folder:" + ",".join(f"{path.name}={file_digest(path)}" for path in pictures)
    return {"weights": weights, "inputs": inputs}


def check_first(options: Options, testbed: Testbed) -> None:
    """Refuse what can be refused before anything is made; granularity `all` has to trace first."""
    refuse_useless_splits(options, testbed)
    for chain, network in product(testbed.pick_chains(options.chains), testbed.pick_networks(options.networks)):
        parse_condition(network, testbed.networks[network]).directed(testbed.chains[chain])
    if options.granularity == "paper":
        points = {model: tuple(range(1, PAPER[model].split_points + 1)) for model in options.model}
        plan_matrix(options, testbed, points, {})


def plan(options: Options, testbed: Testbed, journal: Path, screen: Screen) -> Prepared:
    """Make shards and inputs on the control node, plan the matrix, and leave out what is done."""
    check_first(options, testbed)
    manifests: dict[str, Manifest] = {}
    for model in options.model:
        screen.state(f"splitting {model}", 0, 1)
        manifests[model] = make_shards(options, model)
    inputs = {model: make_inputs(options, manifest) for model, manifest in manifests.items()}
    points = {model: manifest.split_points for model, manifest in manifests.items()}
    plans = plan_matrix(options, testbed, points, _sources(options))
    outcomes = read_outcomes(journal)

    def is_left(run: Run) -> bool:
        outcome = outcomes.get(run.key)
        return outcome is None or (options.retry_failed and outcome != "ok")

    left = tuple(
        ConditionPlan(chain=p.chain, devices=p.devices, network=p.network, runs=runs)
        for p in plans
        if (runs := tuple(filter(is_left, p.runs)))
    )
    return Prepared(manifests=manifests, inputs=inputs, plans=plans, left=left)


def resume_line(prepared: Prepared, folder: Path) -> str:
    """Say how much there is, and how much of it is left."""
    done = prepared.total - prepared.remaining
    resumed = f", {done} already in the journal" if done else ""
    return f"campaign {folder}: {prepared.total} cells{resumed}, {prepared.remaining} to run"


def dry_run(options: Options, testbed: Testbed, folder: Path, screen: Screen) -> None:
    """Show the matrix and how long it would take; touch no device."""
    journal = folder / "journal.jsonl"
    prepared = plan(options, testbed, journal, screen)
    estimator = Estimator(testbed, prepared.manifests, read_rows(journal))
    for condition in prepared.left:
        cells = [run.cell for run in condition.runs]
        seconds = estimator.sweep_s(cells, 1, options.cell_s)
        splits = list(dict.fromkeys(cell.split for cell in sorted(cells, key=lambda cell: (cell.cut, cell.split))))
        screen.line(
            f"{condition.chain} ({' → '.join(condition.devices)}) under {condition.network}: "
            f"{len(cells)} cells, about {clock(seconds)}: {_shorten(splits)}"
        )
    total = estimator.sweep_s([run.cell for p in prepared.left for run in p.runs], len(prepared.left), options.cell_s)
    screen.line(resume_line(prepared, folder))
    screen.line(f"estimated time {clock(total)}, from {estimator.basis}; nothing was run, no device was touched")


def _shorten(words: list[str], most: int = 24) -> str:
    rest = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + rest
