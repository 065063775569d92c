"""Estimate how long a cell takes: for the dry run, the time left, and each cell's limit.

The transfer part is exact arithmetic on the bytes that cross each hop.  The compute part comes
from rows already measured, else from :data:`REFERENCE_MS`, else from the parameter bytes, and
is rough; :attr:`Estimator.basis` says which.  The transports are taken to be alike: over the
loopback, cells of MobileNetV2 took 114 ms by TCP and 113 ms by RPC at window 1, 276 and 278 ms at window 4.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from statistics import median

from links.conditions import LinkSpec, parse_condition
from stage_runtime.formats.manifest import Manifest
from stage_runtime.formats.row import Row
from sweep.matrix import PlannedCell
from sweep.settling import Span
from sweep.testbed import Testbed

REFERENCE_MS: Mapping[str, float] = {
    "mobilenet_v2": 23.0,
    "resnet18": 36.0,
    "alexnet": 17.0,
    "resnet50": 77.0,
    "inception_v3": 125.0,
    "vgg16": 265.0,
}
"""Milliseconds per image, eager, one x86 server core (measured); a start where no row of the engine exists.

Other engines are faster, so that for them it is an upper limit.
"""

_MS_PER_PARAMETER_MB = 1.0
_CUDA_SHARE = 0.1  # a guess that is not measured: no less than a GPU needs, yet too little to limit its batches
_CELL_OVERHEAD_S = 0.6
_CONDITION_OVERHEAD_S = 8.0
_LEAST_LIMIT_S = 60.0
_LEAST_BATCHES = 3
_LEAST_PERIOD_MS = 1e-3
_LIMIT_FACTOR = 6.0
# the stages compute alone twice, each up to six batches and 0.3 s; see stage_runtime.stage.alone
_ROUNDS = 2
_TURN_MS = 300.0
_TURN_BATCHES = 6
_REST_MS = 10.0


class Estimator:
    """Estimate cells of one testbed, learning from rows as they come."""

    def __init__(self, testbed: Testbed, manifests: Mapping[str, Manifest], rows: Iterable[Row] = ()) -> None:
        self._testbed = testbed
        self._manifests = manifests
        self._measured: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        for row in rows:
            self.learn(row)

    @property
    def basis(self) -> str:
        """What the compute part rests on."""
        return "cells measured before" if self._measured else "reference times of another machine (rough)"

    def learn(self, row: Row) -> None:
        """Take a measured row's compute times into account."""
        manifest = self._manifests.get(row.model)
        if row.status != "ok" or manifest is None:
            return
        for stage in row.stages:
            share = (stage.last - stage.first) / len(manifest.blocks)
            if share > 0:
                self._measured[row.model, stage.device, row.engine].append(stage.compute_ms / row.batch / share)

    def _image_ms(self, model: str, device: str, engine: str) -> float:
        measured = self._measured.get((model, device, engine))
        if measured:
            return median(measured)
        manifest = self._manifests[model]
        megabytes = sum(block.parameter_bytes for block in manifest.blocks) / 1e6
        reference = REFERENCE_MS.get(model, megabytes * _MS_PER_PARAMETER_MB)
        where = self._testbed.devices[device]
        if (where.accelerator or "").startswith("cuda"):
            return reference * _CUDA_SHARE
        return reference / min(where.cpus or 1.0, 1.0)

    def cell_s(self, cell: PlannedCell, limit_s: float = 0.0) -> float:
        """Estimate the seconds that one run of `cell` takes, when its batches are limited as by :meth:`batches`."""
        alone_ms, period_ms, delay_ms = self._pace(cell)
        passes = self.batches(cell, limit_s) + cell.warmup
        rounds_ms = _ROUNDS * (sum(map(_turn_ms, self._compute(cell))) + delay_ms)
        return _CELL_OVERHEAD_S + (alone_ms + (passes - 1) * period_ms + 4 * delay_ms + rounds_ms) / 1e3

    def batches(self, cell: PlannedCell, limit_s: float) -> int:
        """Give how many of the cell's batches fit into `limit_s` (0: no limit).

        No fewer than three, nor than a window and one, which a throughput needs.
        """
        if not limit_s:
            return cell.batches
        alone_ms, period_ms, _ = self._pace(cell)
        if period_ms * cell.batches == 0:
            return cell.batches
        fitting = int((limit_s * 1e3 - alone_ms) / period_ms) + 1 - cell.warmup
        return min(cell.batches, max(_LEAST_BATCHES, cell.window + 1, fitting))

    def _pace(self, cell: PlannedCell) -> tuple[float, float, float]:
        """Estimate a batch's milliseconds alone, the period with the window full, and the delay both ways."""
        manifest = self._manifests[cell.model]
        condition = parse_condition(cell.network, self._testbed.networks[cell.network])
        links = condition.directed(cell.devices)
        stages = cell.stage_blocks()
        compute = self._compute(cell)
        transfer = [
            _transfer_ms(links[source, target], _crossing_bytes(manifest, first_of_target) * cell.batch)
            for (source, _, _), (target, first_of_target, _) in pairwise(stages)
        ]
        delay = sum(links[a[0], b[0]].delay_ms + links[b[0], a[0]].delay_ms for a, b in pairwise(stages))
        alone = sum(compute) + sum(transfer) + delay
        return alone, max([_LEAST_PERIOD_MS, *compute, *transfer, alone / cell.window]), delay

    def _compute(self, cell: PlannedCell) -> list[float]:
        """Estimate the milliseconds that each stage computes a batch."""
        blocks = len(self._manifests[cell.model].blocks)
        return [
            self._image_ms(cell.model, device, cell.engine) * cell.batch * (last - first) / blocks
            for device, first, last in cell.stage_blocks()
        ]

    def limit_s(self, cell: PlannedCell) -> float:
        """Give the seconds after which a run of `cell` counts as timed out."""
        return max(_LEAST_LIMIT_S, _LIMIT_FACTOR * self.cell_s(cell))

    def condition_s(self, cells: Iterable[PlannedCell], left: Callable[[str], Span], limit_s: float = 0.0) -> Span:
        """Estimate the seconds for one condition's `cells`, of each of which `left` gives the runs to come."""
        least = most = _CONDITION_OVERHEAD_S
        for cell in cells:
            seconds, runs = self.cell_s(cell, limit_s), left(cell.cell_id)
            least, most = least + runs.least * seconds, most + runs.most * seconds
        return Span(least, most)


def _turn_ms(compute_ms: float) -> float:
    """Estimate how long a stage computes alone in a round, the rests between the batches of a short one included."""
    if compute_ms >= _TURN_MS:
        return compute_ms
    return min(_TURN_MS + compute_ms, _TURN_BATCHES * (compute_ms + _REST_MS)) if compute_ms else 0.0


def _crossing_bytes(manifest: Manifest, first: int) -> int:
    return manifest.input.bytes_per_sample if first == 0 else manifest.blocks[first - 1].output.bytes_per_sample


def _transfer_ms(link: LinkSpec, size: int) -> float:
    return size * 8 / (link.rate_mbit * 1e3) if link.rate_mbit else 0.0
