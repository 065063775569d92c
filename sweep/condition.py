"""What the cells of one chain under one network condition give: rows, kept the moment they end.

How the cells are run is a :class:`sweep.field.Field`'s business.  Each measurement arrives here
while others are still to come, becomes a row and is in the journal before it counts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from types import TracebackType
from typing import Any, Self

import msgspec

from stage_runtime.formats.cell import Cell, TransportName
from stage_runtime.formats.row import LinkDirection, Measurement, Row
from sweep.bounds import Bounds, find_bounds
from sweep.campaign import Campaign
from sweep.clocks import clock_warnings
from sweep.journal import Journal
from sweep.linked import tell_links
from sweep.matrix import ConditionPlan
from sweep.samples import Samples
from sweep.settling import Settling
from sweep.testbed import Testbed

_FAILURES_IN_A_ROW = 3


class ConditionOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How one condition went: rows written, cells that lack runs, and each device that kept them from running.

    ``ok`` counts the rows that are ``ok``; ``failed`` are the (cell_id, repeat) that failed on a device, and
    ``suspects`` those devices, each with the last reason.
    """

    rows: int
    not_run: int
    reasons: dict[str, str]
    ok: int = 0
    failed: tuple[tuple[str, int], ...] = ()
    suspects: dict[str, str] = {}


class CellFailures:
    """Notice that one transport's cells keep failing on one device, so that a dead one is not waited for each time."""

    def __init__(self) -> None:
        self._device: str | None = None
        self._count = 0

    def note(self, measurement: Measurement) -> str | None:
        """Take a run's outcome; give the device that has now failed too often in a row."""
        if measurement.status in {"ok", "invalid"} or measurement.failed_device is None:
            self._device, self._count = None, 0
            return None
        same = measurement.failed_device == self._device
        self._device = measurement.failed_device
        self._count = self._count + 1 if same else 1
        return self._device if self._count >= _FAILURES_IN_A_ROW else None


class ConditionRecord:
    """Takes what one condition's cells give, and remembers what it cannot turn into rows.

    Its cells come in ``blocks``, one for each repeat; of a block those are to be run that :meth:`wanted` leaves
    once the block before has been run.  `lock` guards journal and screen where several conditions run side by side.
    `refused` are the (cell_id, repeat) that an earlier try of this condition refused to run for lack of their
    transport: a first refusal is noted there and is no row, a second one is.  Without it every refusal is a row.
    Used in a ``with`` statement, whose end makes a table of the samples.
    """

    def __init__(
        self,
        *,
        campaign: Campaign,
        testbed: Testbed,
        plan: ConditionPlan,
        cells: Sequence[Cell],
        weights: Mapping[str, str],
        warnings: tuple[str, ...],
        journal: Journal,
        settling: Settling,
        lock: threading.Lock,
        on_row: Callable[[Row], None],
        refused: set[tuple[str, int]] | None = None,
    ) -> None:
        self.campaign = campaign
        self.plan = plan
        self.cells = tuple(cells)
        self.blocks = tuple(tuple(block) for _, block in groupby(self.cells, key=lambda cell: cell.repeat))
        self.warnings = warnings
        self._testbed = testbed
        self._weights = weights
        self._journal = journal
        self._settling = settling
        self._samples = Samples(campaign.folder, f"{plan.chain}@{plan.network}")
        self._lock = lock
        self._on_row = on_row
        self._links: dict[str, tuple[LinkDirection, ...]] = {}
        self._provenance: dict[str, Any] = {}
        self._failures = {cell.transport: CellFailures() for cell in self.cells}
        self._refused: set[TransportName] = set()
        self._given_up: set[TransportName] = set()
        self._stopped_by: dict[str, str] = {}
        self._rows = self._ok = 0
        self._failed: list[tuple[str, int]] = []
        self._suspects: dict[str, str] = {}
        self._refused_before = refused

    def wanted(self, block: Sequence[Cell]) -> list[Cell]:
        """Give the cells of a block that are still to be run, by all that was measured up to now.

        Their stages are told of the links, as far as these are known.
        """
        links = self._known_links()
        return [tell_links(cell, links) for cell in self._lacking(block) if cell.transport not in self._given_up]

    def take_links(self, device: str, links: tuple[LinkDirection, ...]) -> None:
        """Note the directions of the links that `device` has measured."""
        self._links[device] = links

    @property
    def knows_links(self) -> bool:
        """Whether every device has said what its links do."""
        return all(device in self._links for device in self.plan.devices)

    def take_provenance(self, device: str, found: Any) -> None:
        """Note what `device` is; written once all devices have told."""
        self._provenance[device] = found
        if len(self._provenance) == len(self.plan.devices):
            self._write_provenance()

    def take_measurement(self, cell: Cell, measurement: Measurement, *, refused: bool = False) -> bool:
        """Put a run into the journal, its samples first; say whether it makes sense to go on.

        A transport is given up once the same device has failed several of its cells in a row, and it makes none once
        all are.  Cells that were ``refused`` for lack of their transport do not count as failures: others go on.
        Once a device is lost nothing goes on.
        """
        key = (cell.cell_id, cell.repeat)
        if refused and self._refused_before is not None and key not in self._refused_before:
            self._refused_before.add(key)
            self._refused.add(cell.transport)
            self._stopped_by[measurement.failed_device or cell.stages[0].device] = measurement.reason
            return self._goes_on()
        row = make_row(
            self.campaign.name,
            cell,
            measurement,
            weights=self._weights[cell.model],
            links=self._known_links(),
            warnings=(*self.warnings, *clock_warnings(cell.devices[0], measurement)),
        )
        self._samples.append(cell, measurement.samples)
        with self._lock:
            self._journal.append(row)
            self._rows += 1
            self._ok += row.status == "ok"
            self._settling.note(row)
            self._on_row(row)
        if row.status in {"failed", "timeout"} and row.failed_device is not None and not refused:
            if not row.lost:  # by the rows themselves, one that lost its device is run again
                self._failed.append(key)
            self._suspects[row.failed_device] = row.reason
        if measurement.lost:
            self._stopped_by[measurement.failed_device or cell.stages[0].device] = measurement.reason
            return False
        if refused:
            self._refused.add(cell.transport)
        elif device := self._failures[cell.transport].note(measurement):
            self._given_up.add(cell.transport)
            which = f"{cell.transport} cells" if len(self._failures) > 1 else "cells"
            self._stopped_by[device] = f"failed {_FAILURES_IN_A_ROW} {which} in a row: {measurement.reason}"
        return self._goes_on()

    def outcome(self, reasons: Mapping[str, str]) -> ConditionOutcome:
        """Say how the condition went; `reasons` are those that only the field knows."""
        lacking = {cell.cell_id for cell in self._lacking(self.cells)}
        return ConditionOutcome(
            rows=self._rows,
            not_run=len(lacking),
            reasons=dict(reasons) | self._stopped_by,
            ok=self._ok,
            failed=tuple(self._failed),
            suspects=self._suspects,
        )

    def __enter__(self) -> Self:
        """Begin to take what the cells give."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it: the samples become a table, unless an error ended it."""
        self._samples.close(failed=kind is not None)

    def _goes_on(self) -> bool:
        return not self._given_up or self._given_up | self._refused != set(self._failures)

    def _known_links(self) -> tuple[LinkDirection, ...]:
        return tuple(link for host in self.plan.devices for link in self._links.get(host, ()))

    def _lacking(self, cells: Sequence[Cell]) -> list[Cell]:
        return [cell for cell in cells if self._settling.wants(cell.cell_id, cell.repeat)]

    def _write_provenance(self) -> None:
        self.campaign.write_json(
            f"provenance/{self.plan.chain}@{self.plan.network}.json",
            {
                "chain": self.plan.chain,
                "network": self.plan.network,
                "network_definition": self._testbed.networks[self.plan.network],
                "links": [link for links in self._links.values() for link in links],
                "tls": any(cell.tls for cell in self.cells),
                "devices": self._provenance,
            },
        )


def make_row(
    campaign: str,
    cell: Cell,
    measurement: Measurement,
    *,
    weights: str,
    links: tuple[LinkDirection, ...],
    warnings: tuple[str, ...],
) -> Row:
    """Put the cell, what was measured, and what only the driver knows into one row.

    The row's batches are those that count: the cell's, less those that the warm-up rule discarded.
    """
    bounds = find_bounds(measurement.stages, measurement.hops, links, cell.window)
    from_cell = {
        name: getattr(cell, name) for name in Row.__struct_fields__ if name != "schema" and hasattr(cell, name)
    }
    measured = {name: getattr(measurement, name) for name in Row.__struct_fields__ if hasattr(measurement, name)}
    return Row(
        **(
            from_cell
            | measured
            | {
                "campaign": campaign,
                "weights": weights,
                "link": links,
                "warnings": (*measurement.warnings, *warnings),
                "batches": cell.batches - measurement.discarded,
            }
            | (_near(cell, measurement, bounds) if bounds is not None else {})
        )
    )


def _near(cell: Cell, measurement: Measurement, bounds: Bounds) -> dict[str, float | str | None]:
    """Give the bounds, and how near the run came to them; where batches queue, latency has no efficiency."""
    most_ips = bounds.throughput_ips(cell.batch)
    latency = measurement.latency_ms if cell.window == 1 else None
    return {
        "latency_bound_ms": bounds.latency_ms,
        "throughput_bound_ips": most_ips,
        "latency_efficiency": bounds.latency_ms / latency if latency else None,
        "throughput_limit": f"{bounds.period.limit} {bounds.period.where}" if most_ips else None,
        "throughput_efficiency": (measurement.throughput_ips or 0.0) / most_ips if most_ips else None,
    }
