"""Figures of the rows: efficiencies by network, batch and engine, and what stages hold in memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from analysis.fronts import Objective
from stage_runtime.formats.cell import EngineName
from stage_runtime.formats.manifest import Manifest
from stage_runtime.formats.row import Row

OBJECTIVES: tuple[Objective, ...] = ("latency", "throughput")
_MIB = 2**20
_Cell = tuple[str, str, int]  # split, network, window


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


class Gain(NamedTuple):
    """How many times less the stages of a model's cells took alone with an engine than with plain PyTorch.

    ``ratio`` is the median over the cells that both computed, ``eager_ms`` and ``ms`` the medians of what both took.
    """

    engine: str
    batch: int
    model: str
    cells: int
    ratio: float
    eager_ms: float
    ms: float


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


def gains(rows: Iterable[Row]) -> list[Gain]:
    """Give what the other engines gain over eager, by the blocks alone of cells that both computed in the campaign."""
    alone: dict[tuple[int, str], dict[EngineName, dict[_Cell, list[float]]]] = {}
    for row in rows:
        if row.status == "ok" and all(stage.alone_ms is not None for stage in row.stages if stage.first < stage.last):
            cells = alone.setdefault((row.batch, row.model), {}).setdefault(row.engine, {})
            total = sum(stage.alone_ms or 0.0 for stage in row.stages)
            cells.setdefault((row.split, row.network, row.window), []).append(total)
    found = []
    for (batch, model), engines in sorted(alone.items()):
        plain = engines.pop("eager", {})
        for engine, cells in engines.items():
            both = [(statistics.median(plain[cell]), statistics.median(cells[cell])) for cell in cells if cell in plain]
            if both:
                eager_ms, ms = (statistics.median(times) for times in zip(*both, strict=True))
                ratio = statistics.median(old / new for old, new in both)
                found.append(Gain(engine, batch, model, len(both), ratio, eager_ms, ms))
    return sorted(found)


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
