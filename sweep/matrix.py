"""Plan the matrix: which cells, in which order, as data.

Nothing here touches a device, a file or a clock; the same options, testbed and seed give the
same plan.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping

import msgspec

from stage_runtime.formats.cell import SILENCE_S, Cell, CellStage, CodecName, EngineName, TransportName, cell_id
from stage_runtime.formats.manifest import Granularity
from stage_runtime.formats.ready import make_ready
from sweep.options import Options
from sweep.splits import choose_cuts, refuse_useless_splits, split_label
from sweep.testbed import Testbed
from sweep.transports import transports_of


class PlannedCell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of the matrix.

    ``cell_id`` hashes all the rest, and what the network's and the devices' names stand for: a
    virtual `pi1` that became a real one is measured again.
    """

    cell_id: str
    model: str
    granularity: Granularity
    blocks: int
    cut: tuple[int, ...]
    split: str
    chain: str
    devices: tuple[str, ...]
    network: str
    transport: TransportName
    engine: EngineName
    codec: CodecName
    batch: int
    batches: int
    warmup: int
    window: int
    seed: int
    tls: bool = False

    def stage_blocks(self) -> tuple[tuple[str, int, int], ...]:
        """Give (device, first block, last block + 1) of every stage that takes part."""
        if self.split == f"only:{self.devices[0]}":
            return ((self.devices[0], 0, self.blocks),)
        if self.split.startswith("only:"):
            return ((self.devices[0], 0, 0), (self.split.removeprefix("only:"), 0, self.blocks))
        bounds = (0, *self.cut, self.blocks)
        return tuple(
            (device, first, last)
            for device, (first, last) in zip(self.devices, itertools.pairwise(bounds), strict=True)
        )


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One repeat of one cell: what a row of the journal answers."""

    cell: PlannedCell
    repeat: int

    @property
    def key(self) -> tuple[str, int]:
        """What occurs once with status ``ok`` in a journal."""
        return (self.cell.cell_id, self.repeat)


class ConditionPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The runs of one chain under one network condition, in the order they are to be run."""

    chain: str
    devices: tuple[str, ...]
    network: str
    runs: tuple[Run, ...]


def _references(devices: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"only:{device}" for device in devices)


def _cells(
    options: Options,
    testbed: Testbed,
    *,
    chain: str,
    network: str,
    model: str,
    points: tuple[int, ...],
    sources: Mapping[str, str],
) -> Iterator[PlannedCell]:
    devices = testbed.chains[chain]
    cuts = choose_cuts(options.splits, model, points, len(devices))
    splits = [(cut, split_label(cut)) for cut in cuts] + [((), label) for label in _references(devices)]
    transports = transports_of(options, testbed, chain)
    axes = itertools.product(splits, transports, options.engine, options.codec, options.batch, options.window)
    for (cut, split), transport, engine, codec, batch, window in axes:
        fields: dict[str, object] = {
            "model": model,
            "granularity": options.granularity,
            "blocks": max(points, default=0) + 1,
            "cut": cut,
            "split": split,
            "chain": chain,
            "devices": devices,
            "network": network,
            "transport": transport,
            "engine": engine,
            "codec": codec,
            "batch": batch,
            "batches": options.batches,
            "warmup": options.warmup,
            "window": window,
            "seed": options.seed,
        }
        definition = fields | {
            "network_definition": testbed.networks[network],
            "device_definitions": [testbed.devices[device].definition for device in devices],
            "num_classes": options.num_classes,
            **sources,
            **({"tls": True} if options.tls else {}),  # cells of before this option keep their ids
        }
        yield msgspec.convert(fields | {"cell_id": cell_id(definition), "tls": options.tls}, PlannedCell)


Keep = Callable[[PlannedCell], bool]
"""Which cells of the matrix are wanted."""


def keep_every(_cell: PlannedCell) -> bool:
    """Want every cell."""
    return True


def plan_matrix(
    options: Options,
    testbed: Testbed,
    points: Mapping[str, tuple[int, ...]],
    sources: Mapping[str, str],
    keep: Keep = keep_every,
) -> tuple[ConditionPlan, ...]:
    """Plan every run, grouped so that a network condition is set once per chain.

    `points` are each model's legal split points; `sources` say where weights and inputs come
    from (they define a cell as well).  Within a condition each repeat is a block that holds every cell once:
    model by model, since changing models takes loading, and a model's cells (splits, transports, batch sizes and
    windows alike) shuffled by the seed, anew in each block, so that drift does not fall on one of them.
    Only cells that `keep` wants are planned, and no condition of which it wants none.
    All ``most_repeats`` blocks are planned; :class:`sweep.settling.Settling` says what of them is wanted.

    Raises OptionError where a word of ``splits`` fits none of the chains.
    """
    chains = testbed.pick_chains(options.chains)
    networks = testbed.pick_networks(options.networks)
    refuse_useless_splits(options, testbed)
    plans = []
    for chain, network in itertools.product(chains, networks):
        order = random.Random(f"{options.seed}/{chain}/{network}")  # noqa: S311 - an order, not a secret
        runs: list[Run] = []
        for repeat in range(options.most_repeats):
            for model in options.model:
                planned = _cells(
                    options,
                    testbed,
                    chain=chain,
                    network=network,
                    model=model,
                    points=points[model],
                    sources=sources,
                )
                cells = [cell for cell in planned if keep(cell)]
                order.shuffle(cells)
                runs.extend(Run(cell=cell, repeat=repeat) for cell in cells)
        plans.append(ConditionPlan(chain=chain, devices=testbed.chains[chain], network=network, runs=tuple(runs)))
    return tuple(plan for plan in plans if plan.runs)


def cell_for(
    run: Run,
    testbed: Testbed,
    *,
    manifest_id: str,
    inputs_id: str,
    batches: int,
    timeout_s: float,
    silence_s: float = SILENCE_S,
) -> Cell:
    """Write the run out as the cell that a chain is told; `batches` may be fewer than were planned."""
    planned = run.cell
    stages = tuple(
        CellStage(
            device=device,
            address=testbed.devices[device].data_address,
            port=testbed.devices[device].stage_port,
            first=first,
            last=last,
        )
        for device, first, last in planned.stage_blocks()
    )
    return Cell(
        cell_id=planned.cell_id,
        repeat=run.repeat,
        model=planned.model,
        granularity=planned.granularity,
        cut=planned.cut,
        split=planned.split,
        chain=planned.chain,
        devices=planned.devices,
        network=planned.network,
        transport=planned.transport,
        engine=planned.engine,
        codec=planned.codec,
        batch=planned.batch,
        batches=batches,
        warmup=planned.warmup,
        window=planned.window,
        manifest_id=manifest_id,
        inputs_id=inputs_id,
        seed=planned.seed,
        timeout_s=timeout_s,
        stages=stages,
        silence_s=silence_s,
        tls=planned.tls,
    )


make_ready(PlannedCell)
