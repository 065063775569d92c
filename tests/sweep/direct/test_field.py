"""The field of processes: what its stages are told, which cells run, and what ends them; stages are made up."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from stage_runtime.formats.cell import Cell
from stage_runtime.formats.row import LinkDirection, Measurement, Row
from stage_runtime.formats.stage_config import StageConfig
from sweep.direct.devices import make_testbed, parse_devices
from sweep.direct.field import DirectField
from sweep.driver import sweep
from sweep.errors import StageError
from sweep.interrupt import Control
from sweep.journal import read_rows
from tests.sweep.support import Recorder, bad, good, options


@dataclasses.dataclass
class Stages:
    """Make stages that are made up, and remember what happened to them."""

    measure: Callable[[Cell], Measurement] = lambda _cell: good()
    refused: dict[str, str] = dataclasses.field(default_factory=dict)
    worlds: dict[str, Any] = dataclasses.field(default_factory=dict)
    configs: dict[str, StageConfig] = dataclasses.field(default_factory=dict)
    threads: dict[str, int] = dataclasses.field(default_factory=dict)
    ran: list[Cell] = dataclasses.field(default_factory=list)
    stopped: list[str] = dataclasses.field(default_factory=list)

    def __call__(self, config: StageConfig, *_others: object) -> MadeUp:
        self.configs[config.device] = config
        return MadeUp(self, config)


@dataclasses.dataclass
class MadeUp:
    """One made-up stage."""

    all: Stages
    config: StageConfig

    def start(self) -> None:
        assert Path(self.config.secret_file).read_text()

    def await_ready(self, _cancelled: Callable[[], bool]) -> Mapping[str, Any]:
        if self.config.device in self.all.refused:
            raise StageError(self.config.device, self.all.refused[self.config.device])
        return self.status()

    def status(self) -> Mapping[str, Any]:
        world = None if self.config.world is None else {"state": "up", "reason": ""}
        return {"pid": 1, "world": self.all.worlds.get(self.config.device, world)}

    def run(self, cell: Cell, _cancelled: Callable[[], bool]) -> Measurement:
        assert self.config.device == cell.stages[0].device
        self.all.ran.append(cell)
        return self.all.measure(cell)

    def became(self) -> str:
        return f"{self.config.device} was hit by a test"

    def stop(self) -> None:
        self.all.stopped.append(self.config.device)


def made_up_links(devices: Any, *_others: object) -> tuple[LinkDirection, ...]:
    one, two = (device.name for device in devices)
    return tuple(
        LinkDirection(source=a, target=b, backend="none", asked={}, in_force={}, rtt_ms=0.1)
        for a, b in ((one, two), (two, one))
    )


@dataclasses.dataclass
class Direct:
    """Sweep with the field into one results folder."""

    folder: Path
    stages: Stages
    screen: Recorder = dataclasses.field(default_factory=Recorder)
    control: Control = dataclasses.field(default_factory=Control)

    def __call__(self, devices: str = "one1:cpu:1,two1:cpu", **given: Any) -> int:
        testbed = make_testbed(parse_devices(devices, range(4)), "one_to_two")
        asked = options(results=str(self.folder / "r"), **{"chains": "one_to_two", "networks": "loopback", **given})
        with DirectField(testbed, self.folder / "run") as field:
            return sweep(asked, testbed, self.screen, self.control, command=["direct"], field=field)

    @property
    def rows(self) -> list[Row]:
        (campaign,) = (self.folder / "r").iterdir()
        return list(read_rows(campaign / "journal.jsonl"))


@pytest.fixture
def direct(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: list[str]) -> Direct:
    assert made == []
    stages = Stages()
    monkeypatch.setattr("sweep.direct.field.Stage", stages)
    monkeypatch.setattr("sweep.direct.field.measure_links", made_up_links)
    monkeypatch.setattr("sweep.direct.field._provenance", lambda confinement: {"hostname": confinement.device})
    monkeypatch.setattr("sweep.direct.field.processors_had", lambda confinement: confinement.asked)
    monkeypatch.setattr("sweep.driver.LOCKS", tmp_path / "locks")
    return Direct(tmp_path, stages)


def test_every_cell_becomes_a_row_with_its_links(direct: Direct) -> None:
    assert direct() == 0
    assert {row.split for row in direct.rows} == {"P1", "P2", "only:one1", "only:two1"}
    assert {(row.chain, row.network, row.devices) for row in direct.rows} == {
        ("one_to_two", "loopback", ("one1", "two1"))
    }
    assert all([link.source for link in row.link] == ["one1", "two1"] for row in direct.rows)
    assert sorted(direct.stages.stopped) == ["one1", "two1"]
    assert "4 of 4 cells ok" in direct.screen.text


def test_under_tls_each_stage_has_a_certificate_of_its_own_while_it_runs(direct: Direct) -> None:
    seen: set[Path] = set()

    def measure(_cell: Cell) -> Measurement:
        for config in direct.stages.configs.values():
            assert config.tls is not None
            seen.update(map(Path, (config.tls.key, config.tls.certificate, config.tls.authority)))
            assert not config.own_keys, "they are the sweep's"
        assert all(path.exists() for path in seen)
        return good()

    direct.stages.measure = measure
    assert direct(tls="true") == 0
    assert len(seen) == 5, "the authority's is shared"
    assert not any(path.exists() for path in seen)
    assert {row.tls for row in direct.rows} == {True}


def test_stages_are_told_what_they_compute_on_and_who_is_there(direct: Direct) -> None:
    direct("one1:cpu:2,two1:cuda1", transports="tcp,rpc")
    one, two = direct.stages.configs.values()
    assert (one.accelerator, one.threads) == ("cpu", 2)
    assert (two.accelerator, two.threads) == ("cuda:1", 0)
    assert one.port != two.port
    assert one.world is not None
    assert one.world == two.world
    assert [member.device for member in one.world.members] == ["one1", "two1"]
    ports = {one.world.store_port, *(member.port for member in one.world.members)}
    assert len(ports) == 3, "the store has a port of its own"


def test_without_rpc_cells_there_is_no_world(direct: Direct) -> None:
    direct()
    assert [config.world for config in direct.stages.configs.values()] == [None, None]


def test_a_world_that_does_not_come_up_fails_its_cells_and_no_others(direct: Direct) -> None:
    direct.stages.worlds["two1"] = {"state": "failed", "reason": "no route"}
    assert direct(transports="tcp,rpc", splits="P1-P6") == 1
    assert len(direct.rows) == 16, "nor do they count as a device that keeps failing"
    outcomes = {(row.transport, row.status, row.failed_device) for row in direct.rows}
    assert outcomes == {("tcp", "ok", None), ("rpc", "failed", "two1")}
    assert {cell.transport for cell in direct.stages.ran} == {"tcp"}, "the stage is not even asked"
    assert all("no route" in row.reason for row in direct.rows if row.transport == "rpc")


def test_repeats_go_on_until_the_cells_are_settled(direct: Direct) -> None:
    assert direct(repeats=2, most_repeats=5) == 0
    # made-up runs do not differ, so two of each are enough
    assert len(direct.rows) == 8


def test_a_stage_that_does_not_come_up_ends_the_condition_with_its_reason(direct: Direct) -> None:
    direct.stages.refused["two1"] = "no GPU"
    assert direct() == 3
    assert "NOT RUN: 4 cells of one_to_two (one1 → two1) under loopback: two1: no GPU" in direct.screen.text
    assert direct.stages.stopped == ["one1", "two1"] * 2, "it is tried once more"
    direct.stages.refused.clear()
    assert direct() == 0


def test_a_device_that_keeps_failing_is_not_waited_for(direct: Direct) -> None:
    direct.stages.measure = lambda _cell: bad("two1")
    assert direct(splits="P1-P6") == 3
    assert len(direct.stages.ran) == 6, "three, and three more once all else is done"
    assert "two1: failed 3 cells in a row" in direct.screen.text


def test_stages_are_started_again_when_one_is_lost_and_the_run_is_made_good(direct: Direct) -> None:
    answers = iter([good(), structs.replace(bad("two1"), lost=True)])
    direct.stages.measure = lambda _cell: next(answers, good())
    assert direct() == 0
    (lost,) = [row for row in direct.rows if row.status != "ok"]
    assert lost.reason == "it broke; two1: two1 was hit by a test"
    assert direct.stages.stopped == ["one1", "two1"] * 2


def test_an_interrupt_lets_the_running_cell_end(direct: Direct) -> None:
    direct.stages.measure = lambda _cell: (direct.control.interrupt(), good())[1]
    assert direct() == 3
    assert len(direct.rows) == 1
    direct.control = Control()
    direct.stages.measure = lambda _cell: good()
    assert direct() == 0
    assert len(direct.rows) == 4, "the same command ran the others"


def test_a_second_interrupt_leaves_no_row_of_the_cell_that_was_cut_off(direct: Direct) -> None:
    def measure(_cell: Cell) -> Measurement:
        direct.control.interrupt()
        direct.control.interrupt()
        return bad("one1")

    direct.stages.measure = measure
    assert direct() == 3
    assert direct.rows == []
    assert sorted(direct.stages.stopped) == ["one1", "two1"]


def test_what_rows_warn_of(direct: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweep.direct.field.processors_had", lambda _confinement: 1.5)
    assert direct() == 0
    (warnings,) = {row.warnings for row in direct.rows}
    assert any(text.startswith("CPU quota off: one1 was asked to have 1 CPUs and measured 1.50") for text in warnings)


def test_a_device_that_cannot_be_held_is_not_used(direct: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    def had(_confinement: object) -> float:
        raise OSError("two1 cannot be confined: launch: no such core")

    monkeypatch.setattr("sweep.direct.field.processors_had", had)
    assert direct() == 3
    assert "no such core" in direct.screen.text
    assert direct.stages.configs == {}


def test_a_folder_that_cannot_be_made_is_a_reason(direct: Direct) -> None:
    (direct.folder / "run").write_text("in the way")
    assert direct() == 3
    assert "cannot be made (Not a directory)" in direct.screen.text


def test_the_campaign_says_how_each_device_was_held(direct: Direct) -> None:
    direct()
    (path,) = (direct.folder / "r").glob("*/provenance/*.json")
    text = path.read_text()
    assert '"threads"' in text
    assert '"cores"' in text
