"""The field of processes on this machine: hold each to its processors, start its stage, run cells."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec

from stage_runtime.formats.stage_config import StageConfig, WorldConfig
from sweep.condition import ConditionOutcome, ConditionRecord
from sweep.contention import contention_warnings
from sweep.direct.cgroups import QuotaGroups, find_hierarchy
from sweep.direct.confine import Confinement, confine, confinement_warnings, processors_had
from sweep.direct.probing import measure_links
from sweep.direct.stages import Keeper, Stage
from sweep.direct.world import broken_world, world_for
from sweep.errors import StageError
from sweep.losses import explain
from sweep.places import CACHE, CHECKOUT
from sweep.secret import certificates_beside, tls_files
from sweep.testbed import Device, Testbed
from sweep.worlds import needs_world

RUN = CHECKOUT / ".splitbed" / "direct"
_LIFETIME_S = 86400.0


class StageOrders(NamedTuple):
    """What the stages of a chain are told alike."""

    secret_file: Path
    idle_s: float
    oversubscribed: bool
    uses_rpc: bool
    tls: bool = False


class DirectField:
    """The devices of a testbed whose stages this process starts; leaving its ``with`` statement ends them."""

    def __init__(self, testbed: Testbed, folder: Path = RUN) -> None:
        self._testbed = testbed
        self._folder = folder
        self._available = tuple(sorted(os.sched_getaffinity(0)))
        self._groups = QuotaGroups(find_hierarchy(Path("/proc/mounts").read_text()))
        self._warnings: dict[str, tuple[str, ...]] = {}
        self.confinements: dict[str, Confinement] = {}
        self.keeper = Keeper()

    def __enter__(self) -> Self:
        """Use the field in a ``with`` statement."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what still runs, and remove the control groups."""
        self.keeper.close()
        self._groups.close()

    def clear_leftovers(self, folder: Path) -> None:
        """Nothing is left: the kernel ends stages with their driver."""

    def warnings(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """Say which devices get in each other's way, or do not have the processors they were asked to have."""
        found = contention_warnings(self.devices(devices), len(self._available))
        return (*found, *(text for name in devices for text in self._warnings.get(name, ())))

    def make_ready(
        self,
        devices: tuple[str, ...],
        *,
        shards: Mapping[str, tuple[str, str]],  # noqa: ARG002 - stages read them where they were made
        idle_s: float,  # noqa: ARG002 - a stage's own affair, told when it starts
        folder: Path,  # noqa: ARG002 - nothing is kept with the campaign
        say: Callable[[str], None],
        stopping: Callable[[], bool],
        cancelled: Callable[[], bool],  # noqa: ARG002 - a look takes half a second
    ) -> dict[str, str]:
        """Hold each device to its processors and look whether that holds; return those that cannot be held."""
        parked: dict[str, str] = {}
        for device in self.devices(devices):
            if stopping():
                break
            confinement = confine(device, device.cores or self._left_over(), self._groups)
            try:
                had = processors_had(confinement)
            except OSError as exc:
                parked[device.name] = str(exc)
                continue
            self.confinements[device.name] = confinement
            self._warnings[device.name] = confinement_warnings(confinement, had)
            say(_describe(device, confinement, had))
        return parked

    def condition(
        self,
        record: ConditionRecord,
        *,
        secret_file: Path,
        idle_s: float,
        ending: Sequence[str],  # noqa: ARG002 - the stages end with each condition
    ) -> DirectCondition:
        """Get the cells ready to be run; the stages start when they are."""
        return DirectCondition(self, record, secret_file=secret_file.resolve(), idle_s=idle_s)

    def tidy_up(self, say: Callable[[str], None], leaving: Callable[[], bool]) -> dict[str, str]:  # noqa: ARG002 - other fields need it
        """Nothing is left: the stages end with each condition."""
        return {}

    @contextlib.contextmanager
    def stages(
        self, devices: Sequence[Device], told: StageOrders, cancelled: Callable[[], bool]
    ) -> Iterator[list[Stage]]:
        """Run the stages of a chain for a while; they have been started together, and all answer.

        Raises StageError where one does not.
        """
        world = world_for(devices) if told.uses_rpc else None
        stages: list[Stage] = []
        try:
            for device in devices:
                config = self._config(device, told, world)
                stages.append(Stage(config, self.confinements[device.name], self.keeper))
                stages[-1].start()
            for stage in stages:
                stage.await_ready(cancelled)
            yield stages
        finally:
            for stage in stages:
                stage.stop()

    def devices(self, names: Sequence[str]) -> list[Device]:
        """Give devices by name."""
        return [self._testbed.devices[name] for name in names]

    def folder_of(self, name: str) -> Path:
        """Give the folder of a device's socket, log and configuration, for this user alone.

        Raises StageError where it cannot be made.
        """
        folder = self._folder / name
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise StageError(name, f"{folder} cannot be made ({exc.strerror}); remedy: a checkout of your own") from exc
        return folder

    def _config(self, device: Device, told: StageOrders, world: WorldConfig | None) -> StageConfig:
        folder = self.folder_of(device.name)
        return StageConfig(
            device=device.name,
            data_address=device.data_address,
            port=device.stage_port,
            control_socket=str(folder / "stage.sock"),
            shards_dir=str(CACHE / "shards"),
            inputs_dir=str(CACHE / "inputs"),
            secret_file=str(told.secret_file),
            tls=tls_files(certificates_beside(told.secret_file), device.name) if told.tls else None,
            log_file=str(folder / "stage.log"),
            lease_file=str(folder / "link.lease"),
            lifetime_s=_LIFETIME_S,
            idle_s=told.idle_s,
            threads=self.confinements[device.name].threads,
            accelerator=device.accelerator or "auto",
            oversubscribed=told.oversubscribed,
            world=world,
        )

    def _left_over(self) -> tuple[int, ...]:
        taken = {core for device in self._testbed.devices.values() for core in device.cores}
        return tuple(core for core in self._available if core not in taken) or self._available


class DirectCondition:
    """The cells of one condition, run one after the other by the control command."""

    def __init__(self, field: DirectField, record: ConditionRecord, *, secret_file: Path, idle_s: float) -> None:
        self._field = field
        self._record = record
        self._secret_file = secret_file
        self._idle_s = idle_s
        self._devices = field.devices(record.plan.devices)
        self._uses_rpc = needs_world(record.cells)
        self._stop = threading.Event()

    def run(self, *, cancelled: Callable[[], bool]) -> ConditionOutcome:
        """Start the stages, measure the links, run the cells, end the stages; say what is missing and why."""
        told = StageOrders(
            secret_file=self._secret_file,
            idle_s=self._idle_s,
            oversubscribed=any(text.startswith("oversubscribed") for text in self._record.warnings),
            uses_rpc=self._uses_rpc,
            tls=any(cell.tls for cell in self._record.cells),
        )
        try:
            with self._field.stages(self._devices, told, cancelled) as stages:
                self._look_around(stages, cancelled)
                self._run_cells(stages, cancelled)
        except StageError as exc:
            return self._record.outcome({exc.device: str(exc)})
        return self._record.outcome({})

    def stop_after_this_cell(self) -> None:
        """Let the running cell end, and run none of the others."""
        self._stop.set()

    def _look_around(self, stages: Sequence[Stage], cancelled: Callable[[], bool]) -> None:
        """Measure the links and say what each device is, for the rows and the campaign."""
        folder = self._field.folder_of(self._devices[0].name)
        links = measure_links(self._devices, self._field.confinements, self._field.keeper, folder)
        for device, stage in zip(self._devices, stages, strict=True):
            self._record.take_links(device.name, tuple(link for link in links if link.source == device.name))
            confinement = self._field.confinements[device.name]
            found = _provenance(confinement)
            stage_says = stage.await_ready(cancelled)
            self._record.take_provenance(device.name, {**found, "confinement": confinement, "stage": stage_says})

    def _run_cells(self, stages: Sequence[Stage], cancelled: Callable[[], bool]) -> None:
        no_rpc = broken_world(stages, cancelled) if self._uses_rpc else None
        for block in self._record.blocks:
            for cell in self._record.wanted(block):
                if self._stop.is_set() or cancelled():
                    return
                refused = cell.transport == "rpc" and no_rpc is not None
                measured = no_rpc if no_rpc is not None and refused else stages[0].run(cell, cancelled)
                if cancelled():
                    return  # what was measured is an interruption
                if measured.lost:
                    became = {stage.config.device: stage.became() for stage in stages}
                    measured = explain(cell, measured, became)
                if not self._record.take_measurement(cell, measured, refused=refused):
                    return


def _describe(device: Device, confinement: Confinement, had: float | None) -> str:
    cores = ",".join(map(str, confinement.cores))
    quota = f", quota {device.cpus:g}" if confinement.group else ""
    measured = "" if had is None else f", measured {had:.2f} CPUs"
    return f"{device.name}: {device.accelerator}, cores {cores}{quota}{measured}"


def _provenance(confinement: Confinement) -> dict[str, Any]:
    script = str(CHECKOUT / "stage_runtime" / "provenance.py")
    command = confinement.command([sys.executable, "-I", "-S", script, str(CHECKOUT)])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found = msgspec.json.decode(done.stdout)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise StageError(confinement.device, f"it cannot be described: {done.stderr.strip()}") from exc
    return dict(found)
