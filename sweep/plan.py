"""Plan a campaign: what there is to run, what of it is done, how long the rest will take."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from pathlib import Path

import msgspec

from links.conditions import parse_condition
from stage_runtime.formats.manifest import Manifest
from stage_runtime.models.names import PAPER
from sweep.estimate import Estimator
from sweep.journal import read_rows
from sweep.making import make_graphs, make_inputs, make_reference, make_shards
from sweep.matrix import ConditionPlan, Keep, PlannedCell, keep_every, plan_matrix
from sweep.options import Options
from sweep.progress import Screen, clock_span, count_span
from sweep.provenance import file_digest
from sweep.settling import Settling, Span
from sweep.splits import refuse_useless_splits
from sweep.testbed import Testbed

# the latter may choose the former
_GRAPH_ENGINES = ("onnxruntime", "best")


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A planned campaign: manifests and inputs by model, the plan, and what of it is left to do at most."""

    manifests: dict[str, Manifest]
    inputs: dict[str, str]
    plans: tuple[ConditionPlan, ...]
    left: tuple[ConditionPlan, ...]
    settling: Settling

    @property
    def cells(self) -> dict[str, PlannedCell]:
        """The cells of the whole plan by their ids."""
        return {run.cell.cell_id: run.cell for plan in self.plans for run in plan.runs}

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that this invocation needs."""
        return tuple(dict.fromkeys(device for plan in self.left for device in plan.devices))


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


def plan(options: Options, testbed: Testbed, journal: Path, screen: Screen, keep: Keep = keep_every) -> Prepared:
    """Make what a campaign needs here, plan what of the matrix `keep` wants, and leave out what is done."""
    check_first(options, testbed)
    manifests: dict[str, Manifest] = {}
    for model in options.model:
        screen.state(f"splitting {model}", 0, 1)
        manifests[model] = make_shards(options, model)
    inputs = {model: make_inputs(options, manifest) for model, manifest in manifests.items()}
    points = {model: manifest.split_points for model, manifest in manifests.items()}
    plans = plan_matrix(options, testbed, points, _sources(options), keep)
    settling = Settling(options, read_rows(journal))
    left = tuple(
        ConditionPlan(chain=p.chain, devices=p.devices, network=p.network, runs=runs)
        for p in plans
        if (runs := tuple(run for run in p.runs if settling.wants(*run.key)))
    )
    for model in dict.fromkeys(run.cell.model for plan in left for run in plan.runs):
        screen.state(f"computing {model} unsplit", 0, 1)
        make_reference(manifests[model], inputs[model])
    for model, ranges in graph_ranges(left).items():
        screen.state(f"making graphs of {model}", 0, 1)
        make_graphs(manifests[model], ranges)
    return Prepared(manifests=manifests, inputs=inputs, plans=plans, left=left, settling=settling)


def graph_ranges(plans: Iterable[ConditionPlan]) -> dict[str, set[tuple[int, int]]]:
    """Give the ranges of blocks, by model, that some stage of the plans may run by ONNX Runtime."""
    ranges: dict[str, set[tuple[int, int]]] = {}
    for cell in (run.cell for plan in plans for run in plan.runs):
        if cell.engine in _GRAPH_ENGINES:
            wanted = {(first, last) for _, first, last in cell.stage_blocks() if first < last}
            ranges.setdefault(cell.model, set()).update(wanted)
    return ranges


def resume_line(prepared: Prepared, folder: Path) -> str:
    """Say how much there is, and how much of it is left."""
    cells, settling = prepared.cells, prepared.settling
    done = sum(map(settling.done, cells))
    resumed = f", {done} runs already in the journal" if done else ""
    left = _sum(settling.left(cell_id) for cell_id in cells)
    return f"campaign {folder}: {len(cells)} cells{resumed}, {count_span(left)} runs to do"


def dry_run(options: Options, testbed: Testbed, folder: Path, screen: Screen, keep: Keep = keep_every) -> None:
    """Show the matrix and how long it would take; touch no device."""
    journal = folder / "journal.jsonl"
    prepared = plan(options, testbed, journal, screen, keep)
    estimator = Estimator(testbed, prepared.manifests, read_rows(journal))
    times = []
    for condition in prepared.left:
        cells = {run.cell.cell_id: run.cell for run in condition.runs}
        times.append(estimator.condition_s(cells.values(), prepared.settling.left, options.cell_s))
        by_cut = sorted(cells.values(), key=lambda cell: (cell.cut, cell.split))
        splits = list(dict.fromkeys(cell.split for cell in by_cut))
        screen.line(
            f"{condition.chain} ({' → '.join(condition.devices)}) under {condition.network}: "
            f"{len(cells)} cells, about {clock_span(times[-1])}: {_shorten(splits)}"
        )
    screen.line(resume_line(prepared, folder))
    screen.line(
        f"estimated time {clock_span(_sum(times))}, from {estimator.basis}; nothing was run, no device was touched"
    )


def _sum(spans: Iterable[Span]) -> Span:
    least, most = 0.0, 0.0
    for span in spans:
        least, most = least + span.least, most + span.most
    return Span(least, most)


def _shorten(words: list[str], most: int = 24) -> str:
    rest = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + rest
