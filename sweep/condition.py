"""Run the cells of one chain under one network condition: one inner play, row by row.

The play (``playbooks/condition.yml``) shapes and checks the link, sees that the stages run, and
loops over the cells.  Each item's measurement arrives here while the play goes on, becomes a
row and is in the journal before it counts.
"""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from stage_runtime.formats.cell import Cell
from stage_runtime.formats.row import LinkDirection, Measurement, Row
from sweep.campaign import Campaign
from sweep.errors import PlayError
from sweep.inventory import Testbed
from sweep.journal import Journal
from sweep.matrix import ConditionPlan
from sweep.plays import CHECKOUT, Result, run_play

# Whose links are shaped.  Not the campaign: a sweep may take over at once what a killed one of this
# checkout left behind (hold_devices keeps live ones apart), but not what another control node shapes.
OWNER = f"{platform.node()}:{CHECKOUT}"
PROVENANCE_TASK = "Report what the device is"
_FAILURES_IN_A_ROW = 3


class ConditionOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How one condition went; ``reasons`` gives each device that kept cells from running."""

    rows: int
    not_run: int
    reasons: dict[str, str]


class CellFailures:
    """Notice that cells keep failing on one device, so that a dead one is not waited for each time."""

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


class ConditionRun:
    """Drive one condition and turn what its play reports into rows.

    `lock` guards journal and screen where several conditions run side by side.
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
        lock: threading.Lock,
        on_row: Callable[[Row], None],
    ) -> None:
        self._campaign = campaign
        self._testbed = testbed
        self._plan = plan
        self._cells = {(cell.cell_id, cell.repeat): cell for cell in cells}
        self._weights = weights
        self._warnings = warnings
        self._journal = journal
        self._lock = lock
        self._on_row = on_row
        self._links: dict[str, tuple[LinkDirection, ...]] = {}
        self._provenance: dict[str, Any] = {}
        self._failures = CellFailures()
        self._stopped_by: dict[str, str] = {}
        self._rows = 0
        self._work = campaign.folder / ".plays" / f"{plan.chain}@{plan.network}"
        self._stop_file = self._work / "stop"
        self._work.mkdir(parents=True, exist_ok=True)
        self._stop_file.unlink(missing_ok=True)  # not later: a stop asked for from here on must hold

    def run(
        self, *, variables: Mapping[str, Any], secret_file: Path, cancelled: Callable[[], bool]
    ) -> ConditionOutcome:
        """Run the play to its end and say what is missing and why.

        A play that cannot be run, or reports what cannot be read, ends this condition alone.
        """
        cells_file = self._work / "cells.json"
        cells_file.write_bytes(msgspec.json.encode(list(self._cells.values())))
        try:
            result = run_play(
                "condition",
                inventory=self._testbed.path,
                work=self._work,
                limit=",".join(self._plan.devices),
                variables=dict(variables)
                | {
                    "condition_devices": list(self._plan.devices),
                    "condition_network": self._plan.network,
                    "condition_owner": OWNER,
                    "condition_cells_file": str(cells_file.resolve()),
                    "condition_stop_file": str(self._stop_file.resolve()),
                    "condition_secret_file": str(secret_file.resolve()),
                    "condition_driver_pid": os.getpid(),
                    "condition_cores_shared": any(text.startswith("oversubscribed") for text in self._warnings),
                },
                on_result=self._take,
                cancelled=cancelled,
            )
        except PlayError as exc:
            return self._outcome({"control node": str(exc)})
        return self._outcome(result.reasons)

    def stop_after_this_cell(self) -> None:
        """Let the running cell end, then end the play without running the others."""
        self._stop_file.touch()

    def _take(self, host: str, task: str, result: Result) -> None:
        try:
            self._sort(host, task, result)
        except msgspec.MsgspecError as exc:
            raise PlayError(f"task `{task}` on {host} reported what cannot be read: {exc}") from exc

    def _sort(self, host: str, task: str, result: Result) -> None:
        facts = result.get("ansible_facts") or {}
        if "link_shape_result" in facts:
            self._links[host] = msgspec.convert(facts["link_shape_result"], tuple[LinkDirection, ...])
        elif task.endswith(PROVENANCE_TASK):
            self._provenance[host] = msgspec.json.decode(result["stdout"])
            if len(self._provenance) == len(self._plan.devices):
                self._write_provenance()
        elif "measurement" in result:
            measurement = msgspec.convert(result["measurement"], Measurement)
            self._record(self._cells[result["cell_id"], result["repeat"]], measurement)

    def _record(self, cell: Cell, measurement: Measurement) -> None:
        links = tuple(link for host in self._plan.devices for link in self._links.get(host, ()))
        row = make_row(
            self._campaign.name,
            cell,
            measurement,
            weights=self._weights[cell.model],
            links=links,
            warnings=self._warnings,
        )
        with self._lock:
            self._journal.append(row)
            self._rows += 1
            self._on_row(row)
        device = self._failures.note(measurement)
        if device is not None:
            self._stopped_by[device] = f"failed {_FAILURES_IN_A_ROW} cells in a row: {measurement.reason}"
            self.stop_after_this_cell()

    def _write_provenance(self) -> None:
        self._campaign.write_json(
            f"provenance/{self._plan.chain}@{self._plan.network}.json",
            {
                "chain": self._plan.chain,
                "network": self._plan.network,
                "network_definition": self._testbed.networks[self._plan.network],
                "links": [link for links in self._links.values() for link in links],
                "devices": self._provenance,
            },
        )

    def _outcome(self, reasons: dict[str, str]) -> ConditionOutcome:
        return ConditionOutcome(
            rows=self._rows, not_run=len(self._cells) - self._rows, reasons=reasons | self._stopped_by
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
    """Put the cell, what was measured, and what only the driver knows into one row."""
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
            }
        )
    )
