"""What the figures show, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from analysis.fronts import Objective
from analysis.numbers import number
from bench.document import markdown_table
from bench.nearness.compute import OBJECTIVES, Efficiencies, Held, empty_stage_mb
from stage_runtime.formats.manifest import Manifest
from stage_runtime.shards.store import total_bytes


class Target(NamedTuple):
    """What the median of a group's efficiencies and the least of them are to be at least."""

    median: float
    least: float


TARGETS: Mapping[Objective, Target] = {"latency": Target(0.97, 0.92), "throughput": Target(0.95, 0.90)}
_WHAT: Mapping[Objective, str] = {
    "latency": "latency with one batch in flight",
    "throughput": "throughput with three batches in flight",
}


def efficiency_text(found: Sequence[Efficiencies]) -> str:
    """Write a table of the groups, and a sentence on each target."""
    if not found:
        return "Nothing was measured."
    heads = ["of the bound", "network", "batch", "engine", "splits", "median", "least", "whose"]
    lines = [
        [
            group.objective, group.network, str(group.batch), group.engine, str(group.cells),
            _share(group.median), _share(group.least), group.least_cell,
        ]
        for group in found
    ]  # fmt: skip
    return "\n\n".join([*(_judged(objective, found) for objective in OBJECTIVES), markdown_table(heads, lines)])


def _judged(objective: Objective, found: Sequence[Efficiencies]) -> str:
    groups = [group for group in found if group.objective == objective]
    if not groups:
        return f"{_WHAT[objective].capitalize()}: nothing was measured."
    target = TARGETS[objective]
    values = [value for group in groups for value in group.values]
    good = sum(group.median >= target.median and group.least >= target.least for group in groups)
    below = sum(value < target.least for value in values)
    return (
        f"{_WHAT[objective].capitalize()}: aimed at a median of {_share(target.median)} and no split under "
        f"{_share(target.least)}; {good} of {len(groups)} groups reach both, {below} of {len(values)} cells are "
        "under the least."
    )


def memory_text(found: Sequence[Held], manifests: Sequence[Manifest]) -> str:
    """Write what stages hold beside their shards, and what the shards are on the disk."""
    if not found:
        return "Nothing was measured."
    empty = empty_stage_mb(found)
    disk = "; ".join(f"{one.model} {total_bytes(one) / _parameters(one):.4f}" for one in manifests)
    bare = ", ".join(f"{device} {number(mb)} MiB" for device, mb in empty.items())
    heads = ["model", "split", "device", "blocks", "shards MiB", "RSS MiB", "beyond the least", "load ms"]
    lines = [
        [
            one.model, one.split, one.device, str(one.blocks), number(one.shards_mb), number(one.rss_mb),
            number(one.rss_mb - empty[one.device]), number(one.load_ms),
        ]
        for one in found
    ]  # fmt: skip
    return (
        f"The least that each process held: {bare}; the table says what it held beyond that, activations included, "
        f"beside its blocks' shards. Block files on disk over the model's parameter bytes: {disk}."
        f"\n\n{markdown_table(heads, lines)}"
    )


def _parameters(manifest: Manifest) -> int:
    return sum(block.parameter_bytes for block in manifest.blocks)


def _share(value: float) -> str:
    return f"{value:.3f}"
