"""Figures of the rows: efficiencies by network, batch and engine, and what stages hold in memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from analysis.fronts import Objective
from stage_runtime.formats.manifest import Manifest
from stage_runtime.formats.row import Row

OBJECTIVES: tuple[Objective, ...] = ("latency", "throughput")
_MIB = 2**20


class Efficiencies(NamedTuple):
    """How near their bounds the cells of a group came; ``least_cell`` says whose is the least."""

    objective: Objective
    network: str
    batch: int
    engine: str
    cells: int
    median: float
    least: float
    least_cell: str
    values: tuple[float, ...]


class Held(NamedTuple):
    """What a stage's process holds in memory beside its blocks' shards, in MiB, and how long loading them took."""

    model: str
    split: str
    device: str
    blocks: int
    shards_mb: float
    rss_mb: float
    load_ms: float


def efficiencies(rows: Iterable[Row]) -> list[Efficiencies]:
    """Give the efficiencies of the split cells: latency with one batch in flight, throughput with several.

    A cell's is the median over its repeats; runs that are not ok and unsplit references are left out.
    """
    groups: dict[tuple[Objective, str, int, str], dict[str, list[float]]] = {}
    for row in rows:
        if row.status != "ok" or not row.cut:
            continue
        objective: Objective = "latency" if row.window == 1 else "throughput"
        value = row.latency_efficiency if objective == "latency" else row.throughput_efficiency
        if value is not None:
            cells = groups.setdefault((objective, row.network, row.batch, row.engine), {})
            cells.setdefault(f"{row.model} {row.split}", []).append(value)
    found = []
    for (objective, network, batch, engine), cells in sorted(groups.items(), key=lambda group: _order(group[0])):
        middles = {cell: statistics.median(values) for cell, values in cells.items()}
        least_cell = min(middles, key=middles.__getitem__)
        values = tuple(sorted(middles.values()))
        found.append(
            Efficiencies(
                objective, network, batch, engine, len(values), statistics.median(values), values[0], least_cell, values
            )
        )
    return found


def _order(group: tuple[Objective, str, int, str]) -> tuple[int, str, int, str]:
    objective, network, batch, engine = group
    return OBJECTIVES.index(objective), network, batch, engine


def held(rows: Sequence[Row], manifest_of: Callable[[str], Manifest]) -> list[Held]:
    """Give what each device's stage holds at every split, by the runs with one image and one batch in flight."""
    manifests: dict[str, Manifest] = {}
    found: dict[tuple[str, str, str], list[Held]] = {}
    for row in rows:
        if row.status != "ok" or (row.window, row.batch, row.engine) != (1, 1, "eager"):
            continue
        manifest = manifests.setdefault(row.manifest_id, manifest_of(row.manifest_id))
        for stage in row.stages:
            blocks = manifest.blocks[stage.first : stage.last]
            own = Held(
                model=row.model,
                split=row.split,
                device=stage.device,
                blocks=len(blocks),
                shards_mb=sum(block.parameter_bytes for block in blocks) / _MIB,
                rss_mb=stage.rss_mb,
                load_ms=stage.load_ms,
            )
            found.setdefault((row.model, row.split, stage.device), []).append(own)
    return [_middle(group) for _, group in sorted(found.items())]


def _middle(group: Sequence[Held]) -> Held:
    return group[0]._replace(
        rss_mb=statistics.median(one.rss_mb for one in group), load_ms=statistics.median(one.load_ms for one in group)
    )


def empty_stage_mb(found: Sequence[Held]) -> Mapping[str, float]:
    """Give the least each device's process held: what it is without blocks, when it had a cell with none."""
    least: dict[str, float] = {}
    for one in found:
        least[one.device] = min(one.rss_mb, least.get(one.device, one.rss_mb))
    return least
