"""A small testbed, manifests, measurements and a screen for tests of the driver."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from stage_runtime.formats.cell import Cell
from stage_runtime.formats.manifest import BlockEntry, Manifest, TensorSpec, WeightsSource
from stage_runtime.formats.row import LinkDirection, Measurement, Row, StageFigures, StageSamples
from stage_runtime.formats.samples import INSTANTS
from stage_runtime.models.names import PAPER
from sweep.condition import make_row
from sweep.errors import PlayError
from sweep.matrix import Run, cell_for
from sweep.options import Options, parse_options
from sweep.play_field import OBITUARY_TASK, PROVENANCE_TASK, STOP_TASK
from sweep.plays import PlayResult
from sweep.testbed import Device, Testbed

LAN: dict[str, Any] = {"rate_mbit": 1000, "delay_ms": 0.2}
SLOW: dict[str, Any] = {"rate_mbit": 5, "delay_ms": 200}


def device(name: str, *, kind: str = "virtual", cpus: float = 0.5, cores: tuple[int, ...] = ()) -> Device:
    return Device(
        name=name,
        kind=kind,
        data_address=f"10.224.1.{sum(name.encode()) % 250}",
        stage_port=47300,
        home=f"/nowhere/{name}",
        cpus=cpus if kind == "virtual" else None,
        cores=cores,
    )


def small_testbed(**changes: Any) -> Testbed:
    """Make three virtual devices and four real ones, chains of one to three, two networks."""
    devices = [device(name) for name in ("v1", "v2", "v3")]
    devices += [device(name, kind="pi") for name in ("r1", "r2", "r3", "r4")]
    fields: dict[str, Any] = {
        "path": "/nowhere/hosts.yml",
        "devices": {one.name: one for one in devices},
        "chains": {
            "solo": ("v1",),
            "pair": ("v1", "v2"),
            "trio": ("v1", "v2", "v3"),
            "real": ("r1", "r2"),
            "other": ("r3", "r4"),
        },
        "networks": {"lan": LAN, "slow": SLOW},
        "variables": frozenset({"device_home", "chains", "networks"}),
    }
    return Testbed(**(fields | changes))


def options(**given: Any) -> Options:
    """Parse options; two cuts of one model on one chain under one network, once, unless told otherwise."""
    plain: dict[str, Any] = {
        "model": "alexnet",
        "budget": "quick",
        "transports": "tcp",
        "chains": "pair",
        "networks": "lan",
        "splits": "P1,P2",
        "batch": 8,
        "batches": 8,
        "warmup": 1,
        "window": 1,
        "report": False,
        "patience_s": 0,
    }
    return parse_options(plain | given)


def manifest(model: str = "alexnet", blocks: int | None = None, *, megabytes: float = 1.0) -> Manifest:
    """Make a manifest of equal blocks; as many as the paper's split points make, unless told otherwise."""
    count = blocks or PAPER[model].split_points + 1
    crossing = TensorSpec(shape=(1000,), dtype="float32", bytes_per_sample=4000)
    return Manifest(
        schema=1,
        manifest_id=f"{model}-manifest",
        model=model,
        granularity="paper",
        num_classes=1000,
        weights=WeightsSource(kind="seeded", seed=0),
        input=TensorSpec(shape=(3, 224, 224), dtype="float32", bytes_per_sample=602112),
        blocks=tuple(
            BlockEntry(
                index=index,
                name=f"block{index}",
                sha256=f"{index:064}",
                file_bytes=1000,
                parameter_bytes=int(megabytes * 1e6),
                output=crossing,
            )
            for index in range(count)
        ),
        split_points=tuple(range(1, count)),
        torch="2",
        torchvision="0",
    )


def stage_figures(name: str, first: int, last: int, compute_ms: float, **changes: Any) -> StageFigures:
    return StageFigures(
        stage=0,
        device=name,
        first=first,
        last=last,
        accelerator="cpu",
        threads=1,
        load_ms=1.0,
        compute_ms=compute_ms,
        queue_ms=0.1,
        receive_ms=0.1,
        send_ms=0.1,
        cpu_percent=50.0,
        rss_mb=100.0,
        memory_percent=1.0,
        available_memory_mb=1000.0,
        **changes,
    )


def good(**changes: Any) -> Measurement:
    fields: dict[str, Any] = {
        "status": "ok",
        "latency_ms": 12.5,
        "response_ms": 13.0,
        "throughput_ips": 80.0,
        "started": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "elapsed_s": 0.4,
        "measuring_s": 0.3,
    }
    return Measurement(**(fields | changes))


def samples_of(batches: int = 9, *, first: int = 0, discarded: int = 0) -> tuple[StageSamples, ...]:
    """Make the samples of a run on v1 and v2, whose clocks begin at `first`."""
    rising = tuple(range(first, first + batches))
    instants: dict[str, Any] = dict.fromkeys(set(INSTANTS) - {"back_ns"}, rising)
    return tuple(
        StageSamples(stage=place, device=name, discarded=discarded, back_ns=() if place else rising, **instants)
        for place, name in enumerate(("v1", "v2"))
    )


def bad(device_name: str | None = "v2", status: Any = "failed") -> Measurement:
    return Measurement(status=status, reason="it broke", failed_device=device_name)


def cell_of(run: Run, testbed: Testbed) -> Cell:
    return cell_for(run, testbed, manifest_id="manifest", inputs_id="inputs", batches=run.cell.batches, timeout_s=60.0)


def row_of(run: Run, testbed: Testbed, measurement: Measurement | None = None) -> Row:
    cell = cell_of(run, testbed)
    return make_row("c", cell, measurement or good(), weights="seeded:0", links=(), warnings=())


class Recorder:
    """A screen that remembers its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.states: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)

    def state(self, text: str, done: int, total: int) -> None:
        self.states.append(f"{done}/{total} {text}")

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def link(source: str, target: str) -> dict[str, Any]:
    direction = LinkDirection(source=source, target=target, backend="user", asked={}, in_force={}, rtt_ms=0.5)
    plain: dict[str, Any] = msgspec.to_builtins(direction)
    return plain


class FakePlays:
    """Stand in for ``run_play``: answer each cell by `measure`, and other plays by `refused`.

    `refused` maps a playbook to the hosts it fails on, with reasons; `broken` names playbooks
    that cannot be run at all; where ``cancelled_fails``, one that is cancelled did not go well.  Stages of `deaf`
    hosts cannot be stopped by a condition's play.  As the real one does, that play looks at its stop file before each
    cell, and at its end.
    """

    def __init__(self, measure: Callable[[Cell], Measurement | None] = lambda _cell: good()) -> None:
        self.measure = measure
        self.refused: dict[str, dict[str, str]] = {}
        self.broken: dict[str, str] = {}
        self.refused_transports: set[str] = set()
        self.became: dict[str, str] = {}
        self.deaf: set[str] = set()
        self.cancelled_fails = False
        self.on_call: Callable[[str], None] = lambda _playbook: None
        self.calls: list[tuple[str, str, Mapping[str, Any]]] = []
        self.measured: list[Cell] = []
        self.running: set[str] = set()
        self.met: set[frozenset[str]] = set()
        self._lock = threading.Lock()

    def __call__(
        self,
        playbook: str,
        *,
        inventory: str,
        work: Path,
        variables: Mapping[str, Any],
        limit: str = "",
        on_result: Callable[[str, str, Mapping[str, Any]], None] = lambda _host, _task, _result: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> PlayResult:
        assert inventory
        with self._lock:
            self.calls.append((playbook, limit, variables))
        self.on_call(playbook)
        if playbook in self.broken:
            raise PlayError(self.broken[playbook])
        failed = {host: why for host, why in self.refused.get(playbook, {}).items() if host in limit.split(",")}
        if playbook == "condition" and not failed:
            self._condition(variables, on_result, cancelled)
        status = "failed" if failed else "canceled" if self.cancelled_fails and cancelled() else "successful"
        return PlayResult(status=status, log=work / "log", failed=failed, unreachable={})

    def _condition(
        self,
        variables: Mapping[str, Any],
        on_result: Callable[[str, str, Mapping[str, Any]], None],
        cancelled: Callable[[], bool],
    ) -> None:
        devices = variables["condition_devices"]
        me = f"{devices}{variables['condition_network']}"
        with self._lock:
            self.running.add(me)
            self.met.update(frozenset({me, other}) for other in self.running)
        for host in devices:
            links = [link(host, other) for other in devices if other != host]
            on_result(host, "set", {"ansible_facts": {"link_shape_result": links}})
        for host in devices:
            on_result(host, f"x : {PROVENANCE_TASK}", {"stdout": '{"hostname": "%s"}' % host})  # noqa: UP031 - braces
        assert Path(variables["condition_secret_file"]).read_text()
        for number in range(variables["condition_blocks"]):
            block = Path(variables["condition_cells_folder"]) / f"{number}.json"
            for cell in msgspec.json.decode(block.read_bytes(), type=list[Cell]):
                if Path(variables["condition_stop_file"]).exists() or cancelled():
                    break
                self._run(cell, on_result)
            else:
                continue
            break
        if Path(variables["condition_stop_file"]).exists():
            for host, became in self.became.items():
                said = msgspec.json.encode({"cause": became}).decode()
                on_result(host, f"x : {OBITUARY_TASK}", {"stdout": f"a banner\r\n{said}\r\n"})
        stops = devices if Path(variables["condition_stop_file"]).exists() else variables["condition_ending"]
        for host in stops:
            on_result(host, STOP_TASK, {"rc": int(host in self.deaf)})
        with self._lock:
            self.running.discard(me)

    def _run(self, cell: Cell, on_result: Callable[[str, str, Mapping[str, Any]], None]) -> None:
        with self._lock:
            self.measured.append(cell)
        answer = self.measure(cell)
        if answer is not None:
            measured = {"cell_id": cell.cell_id, "repeat": cell.repeat, "measurement": msgspec.to_builtins(answer)}
            if cell.transport in self.refused_transports:
                measured["refused"] = True
            on_result(cell.devices[0], "Run one cell", measured)
