"""Reach devices by plays: ``playbooks/condition.yml`` runs the cells of one condition.

The play shapes and checks the link, sees that the stages run, and loops over the cells, block by block.
Each item's measurement is handed to the condition's record while the play goes on, and a block is handed to
the play once all of the block before it has been measured, the first one once the links have.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from stage_runtime.formats.cell import Cell
from stage_runtime.formats.row import LinkDirection, Measurement
from sweep.condition import ConditionOutcome, ConditionRecord
from sweep.contention import contention_warnings
from sweep.errors import CampaignError, PlayError
from sweep.leftovers import Leftovers
from sweep.losses import explain
from sweep.places import CHECKOUT
from sweep.plays import Result, remove_leftovers, run_play
from sweep.prepare import prepare_devices
from sweep.secret import certificates_beside
from sweep.testbed import Testbed
from sweep.transports import open_devices
from sweep.worlds import Worlds, needs_world

# Whose links are shaped.  Not the campaign: a sweep may take over at once what a killed one of this
# checkout left behind (hold_devices keeps live ones apart), but not what another control node shapes.
OWNER = f"{platform.node()}:{CHECKOUT}"
PROVENANCE_TASK = "Report what the device is"
OBITUARY_TASK = "Say what became of the stage"
STOP_TASK = "Stop the stages that nothing needs any more"
_WORK = ".plays"


class PlayField:
    """The devices of an inventory; `variables` are handed on to every play."""

    def __init__(self, testbed: Testbed, variables: Mapping[str, Any]) -> None:
        self._testbed = testbed
        self._variables = variables
        self._worlds = Worlds()
        self._leftovers = Leftovers(testbed.path, variables)

    def clear_leftovers(self, folder: Path) -> None:
        """Remove what killed plays left."""
        remove_leftovers(folder / _WORK)

    def warnings(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """Say where virtual devices get in each other's way."""
        return contention_warnings([self._testbed.devices[name] for name in devices], os.cpu_count() or 1)

    def make_ready(
        self,
        devices: tuple[str, ...],
        *,
        shards: Mapping[str, tuple[str, str]],
        idle_s: float,
        folder: Path,
        say: Callable[[str], None],
        stopping: Callable[[], bool],
        cancelled: Callable[[], bool],
    ) -> dict[str, str]:
        """Bring `devices` up, provision them and give them their shards; return those parked, with reasons."""
        return prepare_devices(
            self._testbed,
            devices,
            shards=shards,
            variables=self._with_idle(idle_s),
            work=folder / _WORK,
            say=say,
            stopping=stopping,
            cancelled=cancelled,
        )

    def condition(
        self, record: ConditionRecord, *, secret_file: Path, idle_s: float, ending: Sequence[str]
    ) -> PlayCondition:
        """Get one condition's play ready."""
        return PlayCondition(
            record,
            self._testbed,
            secret_file=secret_file,
            variables=self._with_idle(idle_s),
            worlds=self._worlds,
            leftovers=self._leftovers,
            ending=ending,
        )

    def started_on(self, device: str) -> None:
        """Note that a stage is started on a device by another play than a condition's."""
        self._leftovers.begun([device])

    def tidy_up(self, say: Callable[[str], None], leaving: Callable[[], bool]) -> dict[str, str]:
        """Reset what plays that did not end well left running."""
        return self._leftovers.clear(owner=OWNER, say=say, leaving=leaving)

    def _with_idle(self, idle_s: float) -> dict[str, Any]:
        return {"stage_service_idle_s": round(idle_s), **self._variables}


class PlayCondition:
    """Drive one condition's play and hand on what it reports."""

    def __init__(
        self,
        record: ConditionRecord,
        testbed: Testbed,
        *,
        secret_file: Path,
        variables: Mapping[str, Any],
        worlds: Worlds,
        leftovers: Leftovers,
        ending: Sequence[str],
    ) -> None:
        self._record = record
        self._testbed = testbed
        self._secret_file = secret_file
        self._variables = variables
        self._worlds = worlds
        self._leftovers = leftovers
        self._ending = tuple(ending)
        self._all_well = True
        self._cells = {(cell.cell_id, cell.repeat): cell for cell in record.cells}
        self._work = record.campaign.folder / _WORK / f"{record.plan.chain}@{record.plan.network}"
        self._stop_file = self._work / "stop"
        self._blocks_folder = self._work / "cells"
        shutil.rmtree(self._blocks_folder, ignore_errors=True)  # a block of the last invocation holds what is done
        try:
            self._blocks_folder.mkdir(parents=True)
        except OSError as exc:
            raise CampaignError(f"{self._blocks_folder}: {exc}; free some space and run again") from exc
        self._blocks_written = 0
        self._running = 0
        self._lost: list[tuple[Cell, Measurement]] = []
        self._became: dict[str, str] = {}
        self._stage_stopped: list[str] = []
        self._stopped_hard = self._over = False
        self._stop_file.unlink(missing_ok=True)  # not later: a stop asked for from here on must hold

    def run(self, *, cancelled: Callable[[], bool]) -> ConditionOutcome:
        """Run the play to its end and say what is missing and why.

        A play that cannot be run, or reports what cannot be read, ends this condition alone.  Of what the play was
        handed nothing is left.
        """
        try:
            return self._run(cancelled)
        finally:
            self._over = True
            self._stop_file.unlink(missing_ok=True)
            shutil.rmtree(self._blocks_folder, ignore_errors=True)

    def _run(self, cancelled: Callable[[], bool]) -> ConditionOutcome:
        plan = self._record.plan
        needed = needs_world(self._record.cells)
        self._leftovers.begun(plan.devices)
        world = self._worlds.world_for(plan.chain, plan.devices, needed=needed)
        try:
            result = run_play(
                "condition",
                inventory=self._testbed.path,
                work=self._work,
                limit=",".join(plan.devices),
                variables=dict(self._variables)
                | {
                    "condition_devices": list(plan.devices),
                    "condition_network": plan.network,
                    "condition_owner": OWNER,
                    "condition_world": world,
                    "condition_needs_world": needed,
                    "condition_blocks": len(self._record.blocks),
                    "condition_cells_folder": str(self._blocks_folder.resolve()),
                    "condition_stop_file": str(self._stop_file.resolve()),
                    "condition_ending": list(self._ending),
                    "condition_secret_file": str(self._secret_file.resolve()),
                    "condition_tls_folder": self._tls_folder(),
                    "condition_world_public": bool(open_devices(self._testbed, plan.chain)),
                    "condition_driver_pid": os.getpid(),
                    "condition_cores_shared": any(text.startswith("oversubscribed") for text in self._record.warnings),
                },
                on_result=self._take,
                cancelled=lambda: cancelled() or self._stopped_hard,
            )
        except PlayError as exc:
            self._worlds.spoil(world)
            self._take_lost({})
            return self._record.outcome({"control node": str(exc)})
        self._take_lost(result.reasons)
        if result.reasons or not self._all_well:
            self._worlds.spoil(world)
        if result.ok:
            self._leftovers.ended(self._stage_stopped)
        return self._record.outcome(result.reasons)

    def _tls_folder(self) -> str:
        """Name the folder of the certificates, where a cell is to run under TLS."""
        wanted = any(cell.tls for cell in self._record.cells)
        return str(certificates_beside(self._secret_file.resolve())) if wanted else ""

    def stop_after_this_cell(self) -> None:
        """Let the running cell end, then end the play without running the others; at once where the disk is full."""
        if self._over:
            return
        try:
            self._stop_file.touch()
        except OSError:
            self._stopped_hard = True

    def _take_lost(self, reasons: Mapping[str, str]) -> None:
        """Put the run that lost a device into the journal, with what the device says became of its stage."""
        for cell, measurement in self._lost:
            self._record.take_measurement(cell, explain(cell, measurement, {**reasons, **self._became}))
        self._lost.clear()

    def _write_blocks(self) -> None:
        """Hand the play its next block with a cell in it, and the empty ones before; it waits for each."""
        while not self._running and self._blocks_written < len(self._record.blocks):
            cells = self._record.wanted(self._record.blocks[self._blocks_written])
            path = self._blocks_folder / f"{self._blocks_written}.json"
            part = path.with_suffix(".part")
            try:
                part.write_bytes(msgspec.json.encode(cells))
                part.replace(path)
            except OSError as exc:
                raise CampaignError(f"{path}: cannot write ({exc}); free some space and run again") from exc
            self._blocks_written += 1
            self._running = len(cells)

    def _take(self, host: str, task: str, result: Result) -> None:
        try:
            self._sort(host, task, result)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise PlayError(f"task `{task}` on {host} reported what cannot be read: {exc}") from exc

    def _sort(self, host: str, task: str, result: Result) -> None:
        facts = result.get("ansible_facts") or {}
        if "link_shape_result" in facts:
            self._record.take_links(host, msgspec.convert(facts["link_shape_result"], tuple[LinkDirection, ...]))
            if self._record.knows_links:
                self._write_blocks()
        elif task.endswith(PROVENANCE_TASK):
            self._record.take_provenance(host, msgspec.json.decode(result["stdout"]))
        elif task.endswith(OBITUARY_TASK) and "stdout" in result:
            with contextlib.suppress(msgspec.MsgspecError, LookupError):  # what it says is no more than a hint
                said = msgspec.json.decode(result["stdout"].splitlines()[-1], type=dict[str, str])
                self._became[host] = said["cause"]
        elif task.endswith(STOP_TASK) and result.get("rc") == 0:
            self._stage_stopped.append(host)
        elif "measurement" in result:
            measurement = msgspec.convert(result["measurement"], Measurement)
            self._all_well &= measurement.status in {"ok", "invalid"}
            cell = self._cells[result["cell_id"], result["repeat"]]
            if measurement.lost:
                self._lost.append((cell, measurement))
                self.stop_after_this_cell()
                return
            if not self._record.take_measurement(cell, measurement, refused=result.get("refused", False)):
                self.stop_after_this_cell()
            self._running -= 1
            self._write_blocks()
