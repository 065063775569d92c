"""The driver with made-up devices: exit statuses, resuming, parking, stopping."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from analysis.samples import read_samples
from stage_runtime.formats.cell import Cell
from stage_runtime.formats.row import Measurement, Row
from stage_runtime.formats.samples import RunSamples
from sweep.closing import EXIT_CELLS_FAILED, EXIT_CELLS_MISSING, EXIT_OK
from sweep.errors import CampaignError, OptionError
from sweep.interrupt import Control
from sweep.journal import Journal
from tests.sweep.conftest import Driver
from tests.sweep.support import bad, good, samples_of, small_testbed

TWO_LANES: dict[str, Any] = {"chains": "real,other", "networks": "lan,slow"}


def failing(split: str, device: str = "v2") -> Any:
    return lambda cell: bad(device) if cell.split == split else good()


def test_all_well_is_0_and_every_run_is_in_the_journal_once(drive: Driver) -> None:
    assert drive(networks="lan,slow", repeats=2) == EXIT_OK
    found = Counter((row.cell_id, row.repeat) for row in drive.rows)
    assert len(found) == 16
    assert set(found.values()) == {1}
    assert "8 of 8 cells ok, 0 failed, 0 not run" in drive.screen.text
    assert drive.screen.states[-1].startswith("16/16 ")


def test_a_cell_that_fails_is_1_once_it_failed_twice(drive: Driver) -> None:
    assert drive(failing("P2")) == EXIT_CELLS_FAILED
    assert Counter(row.status for row in drive.rows) == {"ok": 3, "failed": 2}
    assert "3 of 4 cells ok, 1 failed, 0 not run" in drive.screen.text
    assert "retry_failed=true" in drive.screen.text


@pytest.mark.parametrize("status", ["failed", "timeout", "invalid"])
def test_a_cell_that_failed_stays_so_until_retried(drive: Driver, status: str) -> None:
    drive(lambda cell: bad(status=status) if cell.split == "P2" else good())
    assert drive() == EXIT_CELLS_FAILED
    assert drive.plays.calls == [], "nothing is left, so no device is touched"
    assert drive(retry_failed=True) == EXIT_OK
    assert [cell.split for cell in drive.plays.measured] == ["P2"]
    assert drive(retry_failed=True) == EXIT_OK
    assert drive.plays.calls == []
    tried = [status] if status == "invalid" else [status, status]  # what failed on a device is run once more
    assert [row.status for row in drive.rows if row.split == "P2"] == [*tried, "ok"]


def test_cells_that_could_not_be_run_are_3_and_the_same_command_runs_them(drive: Driver) -> None:
    drive.plays.refused["condition"] = {"v2": "no sch_netem"}
    assert drive() == EXIT_CELLS_MISSING
    assert "NOT RUN: 4 cells of pair (v1 → v2) under lan: v2: no sch_netem" in drive.screen.text
    assert drive.rows == []
    drive.plays.refused.clear()
    assert drive() == EXIT_OK
    assert len(drive.rows) == 4


def test_three_failures_in_a_row_end_a_condition_others_go_on_and_every_cell_has_its_try(drive: Driver) -> None:
    def measure(cell: Cell) -> Measurement:
        return bad("r2") if cell.chain == "real" and cell.network == "lan" else good()

    assert drive(measure, **TWO_LANES, repeats=2) == EXIT_CELLS_FAILED
    counts = Counter((row.chain, row.network, row.status) for row in drive.rows)
    assert counts.pop(("real", "lan", "failed")) == 9, "three tries of three cells each"
    assert counts == {("real", "slow", "ok"): 8, ("other", "lan", "ok"): 8, ("other", "slow", "ok"): 8}
    lan = {(row.cell_id, row.repeat) for row in drive.rows if row.status == "failed"}
    assert len(lan) == 8, "what failed comes last when it is tried again"
    said = "PUT ASIDE until all else is done: real (r1 → r2) under lan: r2: failed 3 cells in a row"
    assert said in drive.screen.text
    assert "4 failed, 0 not run" in drive.screen.text


def test_cells_that_failed_with_a_lost_device_are_measured_when_it_is_back(drive: Driver) -> None:
    away = iter([True] * 3)
    assert drive(lambda _cell: bad("v2") if next(away, False) else good(), networks="lan,slow") == EXIT_OK
    counts = Counter((row.cell_id, row.repeat, row.status) for row in drive.rows)
    assert Counter(status for _, _, status in counts) == {"failed": 3, "ok": 8}
    assert set(counts.values()) == {1}
    assert [playbook for playbook, _, _ in drive.plays.calls] == [
        *("virtual_up", "provision", "shards", "condition"),
        *("virtual_up", "provision", "shards", "condition", "condition"),
    ]
    assert [limit for playbook, limit, _ in drive.plays.calls if playbook == "provision"] == [
        "v1,v2,localhost",
        "v2,localhost",
    ], "the lost device alone is made ready again"
    assert drive() == EXIT_OK
    assert drive.plays.calls == [], "nothing is missing"


def test_cells_refused_for_lack_of_a_world_are_run_in_a_fresh_one(drive: Driver) -> None:
    def measure(cell: Cell) -> Measurement:
        return bad("v1") if cell.transport in drive.plays.refused_transports else good()

    def mend(_playbook: str) -> None:
        if [name for name, _, _ in drive.plays.calls].count("condition") > 1:
            drive.plays.refused_transports.clear()

    drive.plays.refused_transports.add("rpc")
    drive.plays.on_call = mend
    assert drive(measure, transports="tcp,rpc") == EXIT_OK
    assert Counter((row.transport, row.status) for row in drive.rows) == {("tcp", "ok"): 4, ("rpc", "ok"): 4}
    worlds = [variables["condition_world"] for name, _, variables in drive.plays.calls if name == "condition"]
    assert len(set(worlds)) == len(worlds) == 2


def test_cells_refused_twice_are_failed_rows(drive: Driver) -> None:
    drive.plays.refused_transports.add("rpc")
    given = {"transports": "tcp,rpc", "patience_s": 5}
    status = drive(lambda cell: bad("v1") if cell.transport == "rpc" else good(), **given)
    assert status == EXIT_CELLS_FAILED
    assert Counter((row.transport, row.status) for row in drive.rows) == {("tcp", "ok"): 4, ("rpc", "failed"): 4}


def test_a_parked_device_keeps_only_its_chains_from_running(drive: Driver) -> None:
    drive.plays.refused["provision"] = {"r2": "unreachable: no route"}
    assert drive(**TWO_LANES) == EXIT_CELLS_MISSING
    assert "PARKED r2: unreachable: no route" in drive.screen.text
    assert {row.chain for row in drive.rows} == {"other"}
    assert drive.screen.text.count("NOT RUN: 4 cells of real") == 2
    shards = [limit for playbook, limit, _ in drive.plays.calls if playbook == "shards"]
    assert shards == ["r1,r3,r4,localhost"], "a parked device is left alone"


def test_a_parked_device_that_comes_back_is_swept_as_well(drive: Driver) -> None:
    drive.plays.refused["provision"] = {"r2": "unreachable: no route"}

    def measure(_cell: Cell) -> Measurement:
        drive.plays.refused.clear()
        return good()

    assert drive(measure, **TWO_LANES, patience_s=5) == EXIT_OK
    assert Counter(row.chain for row in drive.rows) == {"real": 8, "other": 8}


def test_preparation_that_cannot_be_run_parks_all(drive: Driver) -> None:
    drive.plays.broken["provision"] = "no such playbook"
    assert drive() == EXIT_CELLS_MISSING
    assert [playbook for playbook, _, _ in drive.plays.calls] == ["virtual_up", "provision"]
    assert "PARKED v1: no such playbook" in drive.screen.text


def test_what_a_play_that_failed_left_on_its_devices_is_reset_in_the_end(drive: Driver) -> None:
    drive.plays.refused["condition"] = {"v2": "no sch_netem"}
    drive()
    playbook, limit, variables = drive.plays.calls[-1]
    assert (playbook, limit, variables["reset_hosts"]) == ("reset", "v1,v2", "v1,v2")
    assert variables["link_shape_owner"].endswith(str(Path(__file__).parents[2])), "another's links are let be"
    assert variables["pi_venv_x"] == 1
    drive.plays.refused.clear()
    drive()
    assert "reset" not in [name for name, _, _ in drive.plays.calls], "a play that ends well leaves nothing"
    endings = [variables["condition_ending"] for name, _, variables in drive.plays.calls if name == "condition"]
    assert endings == [["v1", "v2"]]


def test_a_stage_that_could_not_be_told_to_stop_is_reset_in_the_end(drive: Driver) -> None:
    drive.plays.deaf = {"v2"}
    drive()
    playbook, limit, _ = drive.plays.calls[-1]
    assert (playbook, limit) == ("reset", "v2")


def test_what_a_killed_sweep_left_of_its_secrets_is_removed_though_nothing_is_left_to_run(drive: Driver) -> None:
    assert drive() == EXIT_OK
    (drive.folder / ".secret").write_text("old")
    (drive.folder / ".tls").mkdir()
    (drive.folder / ".tls" / "v1.key").write_text("old")
    assert drive() == EXIT_OK
    assert drive.plays.measured == []
    assert not {".secret", ".tls"} & {path.name for path in drive.folder.iterdir()}


def test_a_device_that_cannot_be_reset_is_named(drive: Driver) -> None:
    drive.plays.refused |= {"condition": {"v2": "gone"}, "reset": {"v2": "unreachable: gone"}}
    drive()
    assert "WARNING: v2 is left to end its stage and clear its links by itself: unreachable: gone" in drive.screen.text


@pytest.mark.parametrize(("interrupts", "reset"), [(1, False), (2, True), (3, False)])
def test_an_interrupted_sweep_leaves_nothing_running_unless_told_to(
    drive: Driver, interrupts: int, reset: bool
) -> None:
    def measure(_cell: Cell) -> Measurement:
        for _ in range(interrupts):
            drive.control.interrupt()
        return good()

    drive.plays.cancelled_fails = True
    assert drive(measure) == EXIT_CELLS_MISSING
    assert ("reset" in [name for name, _, _ in drive.plays.calls]) is reset
    assert ("is left to end its stage" in drive.screen.text) is (interrupts == 3)


def test_only_virtual_devices_are_brought_up(drive: Driver) -> None:
    drive(chains="pair,real")
    prepared = [(playbook, limit) for playbook, limit, _ in drive.plays.calls if playbook != "condition"]
    assert prepared == [
        ("virtual_up", "v1,v2,localhost"),
        ("provision", "v1,v2,r1,r2,localhost"),
        ("shards", "v1,v2,r1,r2,localhost"),
    ]
    drive(chains="other")
    assert "virtual_up" not in [playbook for playbook, _, _ in drive.plays.calls]


def test_every_model_gets_its_shards(drive: Driver) -> None:
    drive(model="alexnet,resnet18")
    given = [variables for playbook, _, variables in drive.plays.calls if playbook == "shards"]
    assert [one["model_shards_manifest_id"] for one in given] == ["alexnet-manifest", "resnet18-manifest"]
    assert {one["model_shards_inputs_id"] for one in given} == {"inputs"}
    assert all(variables["pi_venv_x"] == 1 for _, _, variables in drive.plays.calls), "extra vars are handed on"


def test_chains_that_share_nothing_run_side_by_side_and_others_do_not(drive: Driver) -> None:
    both = threading.Barrier(2, timeout=1.5)

    def measure(cell: Cell) -> Measurement:
        if cell.split in {"only:r1", "only:r3"}:
            both.wait()
        return good()

    assert drive(measure, chains="real,other", networks="lan") == EXIT_OK
    drive.plays.met.clear()
    assert drive(chains="pair,trio,solo", splits="all", model="resnet18") == EXIT_OK
    assert all(len(met) == 1 for met in drive.plays.met), "virtual devices share this machine"


ADAPTIVE: dict[str, Any] = {"repeats": 2, "most_repeats": 4}


def drifting(split: str) -> Any:
    """Let one split's latency double from repeat to repeat: no number of them settles it."""
    return lambda cell: good(latency_ms=10.0 * 2 ** (cell.repeat if cell.split == split else 0))


def test_repeats_go_on_for_those_cells_alone_that_are_not_settled(drive: Driver) -> None:
    assert drive(drifting("P2"), **ADAPTIVE) == EXIT_OK
    assert Counter(row.split for row in drive.rows) == {"P1": 2, "only:v1": 2, "only:v2": 2, "P2": 4}
    assert "4 cells, 8-16 runs to do" in drive.screen.text
    assert drive.screen.states[2].startswith("1/16 1 of 8-16 runs")
    assert drive.screen.states[-1].startswith("10/10 10 of 10 runs")
    assert "4 of 4 cells ok, 0 failed, 0 not run" in drive.screen.text
    limit = "3 cells settled within 5 %, 1 at the limit of most_repeats=4 with a half width of over 5 %: "
    assert f"{limit}alexnet pair lan tcp P2 window 1 batch 8 ±" in drive.screen.text
    assert drive(drifting("P2"), **ADAPTIVE) == EXIT_OK
    assert drive.plays.calls == [], "nothing is left"


def test_more_repeats_or_a_tighter_target_extend_the_campaign_by_what_is_missing(drive: Driver) -> None:
    def measure(cell: Cell) -> Measurement:
        return good(latency_ms=10.0 + 0.1 * (cell.repeat % 2) * (cell.split == "P2"))

    assert drive(measure, **ADAPTIVE) == EXIT_OK
    first = drive.rows
    assert Counter(row.repeat for row in first) == {0: 4, 1: 4, 2: 1}
    assert drive(measure, **ADAPTIVE, target_percent=1) == EXIT_OK
    assert [(cell.split, cell.repeat) for cell in drive.plays.measured] == [("P2", 3)]
    assert drive(measure, repeats=3, most_repeats=4) == EXIT_OK
    assert Counter((cell.split, cell.repeat) for cell in drive.plays.measured) == {
        ("P1", 2): 1,
        ("only:v1", 2): 1,
        ("only:v2", 2): 1,
    }
    assert drive.rows[: len(first)] == first
    assert sum(path.is_dir() for path in drive.results.iterdir()) == 1


@pytest.mark.parametrize("stop_after", [1, 5, 9])
def test_a_sweep_that_was_stopped_does_the_same_runs_as_one_that_was_not(drive: Driver, stop_after: int) -> None:
    def measure(cell: Cell) -> Measurement:
        if len(drive.plays.measured) == stop_after:
            drive.control.interrupt()
        measured: Measurement = drifting("P2")(cell)
        return measured

    assert drive(measure, **ADAPTIVE) == EXIT_CELLS_MISSING
    assert "the same command runs the missing ones" in drive.screen.text
    assert len(drive.rows) == stop_after
    assert drive(drifting("P2"), **ADAPTIVE) == EXIT_OK
    assert Counter(row.split for row in drive.rows) == {"P1": 2, "only:v1": 2, "only:v2": 2, "P2": 4}
    assert set(Counter((row.cell_id, row.repeat) for row in drive.rows).values()) == {1}


def test_samples_that_a_killed_driver_left_become_a_table(drive: Driver) -> None:
    drive(lambda _cell: good(samples=samples_of()), splits="P1")
    (table,) = (drive.folder / "samples").iterdir()
    run = RunSamples(campaign=drive.folder.name, cell_id="ab", repeat=0, warmup=1, stages=samples_of())
    (drive.folder / "samples" / "pair@lan.jsonl").write_bytes(msgspec.json.encode(run) + b"\n{torn")
    assert drive(splits="P1") == EXIT_OK, "also where nothing is left to measure"
    assert sorted(path.name for path in (drive.folder / "samples").iterdir()) == [table.name, "pair@lan-0002.parquet"]
    assert "ab" in set(read_samples(drive.folder)["cell_id"])


def test_a_campaign_is_extended_by_more_networks(drive: Driver) -> None:
    assert drive(networks="lan") == EXIT_OK
    first = drive.rows
    assert drive(networks="lan,slow") == EXIT_OK
    assert {cell.network for cell in drive.plays.measured} == {"slow"}
    assert drive.rows[: len(first)] == first
    assert len(drive.rows) == 8
    drive(networks="lan")
    content = msgspec.json.decode((drive.folder / "campaign.json").read_bytes())
    assert set(content["networks"]) == {"lan", "slow"}, "what was measured stays described"
    assert sum(path.is_dir() for path in drive.results.iterdir()) == 1


def test_fresh_measures_anew_and_keeps_the_old(drive: Driver) -> None:
    drive()
    old = drive.folder
    assert drive(fresh=True) == EXIT_OK
    assert drive.folder != old
    assert len(drive.plays.measured) == 4
    assert drive() == EXIT_OK
    assert drive.plays.measured == []


def test_a_name_that_means_something_else_is_refused_before_anything_is_touched(drive: Driver, made: list[str]) -> None:
    drive()
    made.clear()
    drive.testbed = small_testbed(networks={"lan": {"rate_mbit": 1}})
    for more in ({}, {"dry_run": True}, {"networks": "lan"}):
        with pytest.raises(CampaignError, match="`lan` of networks was"):
            drive(**more)
    assert made == drive.plays.calls == []
    assert drive(fresh=True) == EXIT_OK


def test_a_campaign_in_use_is_refused(drive: Driver, made: list[str]) -> None:
    def measure(_cell: Cell) -> Measurement:
        with pytest.raises(CampaignError, match="is being written by process"):
            Driver(drive.results, drive.plays, drive.testbed)()
        return good()

    assert drive(measure, chains="solo", splits="all") == EXIT_OK
    assert made == ["alexnet"]


def test_a_plan_that_fails_leaves_no_journal(drive: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    def make_shards(*_words: object) -> None:
        raise OptionError("no such weights")

    monkeypatch.setattr("sweep.plan.make_shards", make_shards)
    with pytest.raises(OptionError):
        drive()
    assert list(drive.results.rglob("journal.jsonl")) == []
    assert list(drive.results.rglob("campaign.json")) == []


def test_a_dry_run_touches_nothing(drive: Driver) -> None:
    assert drive(dry_run=True) == EXIT_OK
    assert drive.plays.calls == []
    assert not drive.results.exists()


def test_the_campaign_file_tells_what_was_asked_for(drive: Driver) -> None:
    drive()
    content = msgspec.json.decode((drive.folder / "campaign.json").read_bytes())
    assert content["command"] == ["sweep", "run"]
    assert content["options"]["splits"] == ["P1", "P2"]
    assert content["chains"] == {"pair": ["v1", "v2"]}
    assert len(content["shards"]["alexnet"]) == 13
    assert content["weights"]["alexnet"]["kind"] == "seeded"


def test_the_secret_is_private_and_gone_afterwards(drive: Driver) -> None:
    modes: list[int] = []

    def measure(_cell: Cell) -> Measurement:
        modes.append((drive.folder / ".secret").stat().st_mode & 0o777)
        return good()

    drive(measure)
    assert set(modes) == {0o600}
    assert not (drive.folder / ".secret").exists()


def test_one_interrupt_stops_after_the_running_cells(drive: Driver) -> None:
    def measure(_cell: Cell) -> Measurement:
        drive.control.interrupt()
        return good()

    assert drive(measure, networks="lan,slow") == EXIT_CELLS_MISSING
    assert len(drive.rows) == 1, "the running cell is kept"
    assert "NOT RUN: 3 cells of pair (v1 → v2) under lan: the sweep was stopped" in drive.screen.text
    assert "NOT RUN: 4 cells of pair (v1 → v2) under slow: the sweep was stopped" in drive.screen.text
    assert "1 of 8 cells ok, 0 failed, 7 not run" in drive.screen.text
    assert drive(networks="lan,slow") == EXIT_OK
    assert len(drive.rows) == 8


def test_an_interrupt_while_getting_ready_begins_no_further_step(drive: Driver) -> None:
    drive.plays.on_call = lambda playbook: drive.control.interrupt() if playbook == "virtual_up" else None
    assert drive() == EXIT_CELLS_MISSING
    assert [playbook for playbook, _, _ in drive.plays.calls] == ["virtual_up"]
    assert drive.rows == []
    assert "bringing up virtual devices: v1, v2" in drive.screen.text
    assert "provisioning: " not in drive.screen.text


def test_a_full_disk_stops_every_lane(drive: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    def append(_journal: Journal, row: Row) -> None:
        if row.chain == "real":
            raise CampaignError("disk full")

    def measure(cell: Cell) -> Measurement:
        stop, until = drive.folder / ".plays" / "other@lan" / "stop", time.monotonic() + 20
        while cell.chain == "other" and not stop.exists() and time.monotonic() < until:
            time.sleep(0.005)
        return good()

    monkeypatch.setattr(Journal, "append", append)
    with pytest.raises(CampaignError, match="disk full"):
        drive(measure, **TWO_LANES)
    assert [cell.chain for cell in drive.plays.measured].count("other") <= 1, "the other lane ends as well"
    assert not (drive.folder / ".secret").exists()


def test_the_report_is_drawn_of_this_campaign(drive: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **_settings: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 1, "a table\n", "a warning\n")

    monkeypatch.setattr("sweep.driver.subprocess.run", run)
    monkeypatch.chdir(tmp_path)
    drive.results = Path("elsewhere")
    assert drive(report=True) == EXIT_OK, "a report that fails does not make cells fail"
    assert [command[2:] for command in commands] == [["analysis.front", str(drive.folder.resolve())]]
    assert {"a table", "a warning"} <= set(drive.screen.lines)


def test_nothing_to_report_where_nothing_was_measured(drive: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweep.driver.subprocess.run", mock_that_fails)
    drive.plays.broken["provision"] = "no"
    assert drive(report=True) == EXIT_CELLS_MISSING


def mock_that_fails(*_words: object, **_settings: object) -> None:
    pytest.fail("this was not to be called")


class TestControl:
    def test_it_stops_nothing_by_itself(self) -> None:
        control = Control()
        assert not control.finishing
        assert not control.stopping()
        assert not control.cancelled()

    def test_the_first_interrupt_finishes_and_the_second_cancels(self) -> None:
        control = Control()
        control.interrupt()
        assert control.finishing
        assert control.stopping()
        assert not control.cancelled()
        control.interrupt()
        assert control.cancelled()

    def test_those_who_asked_are_told_also_when_they_ask_late(self) -> None:
        control = Control()
        told: list[str] = []
        control.on_finish(lambda: told.append("early"))
        assert told == []
        control.interrupt()
        assert told == ["early"]
        control.on_finish(lambda: told.append("late"))
        assert told == ["early", "late"]

    def test_a_third_interrupt_leaves_and_each_is_answered(self) -> None:
        control = Control()
        said = []
        for _ in range(3):
            assert not control.leaving()
            control.interrupt()
            said.append(control.answer())
        assert control.leaving()
        assert len(set(said)) == 3
        assert said[0].startswith("stopping after the running cell")

    def test_what_went_wrong_elsewhere_stops_it_once(self) -> None:
        control = Control()
        told: list[int] = []
        control.on_finish(lambda: told.append(1))
        control.finish()
        control.finish()
        assert told == [1]
        assert control.stopping()
        assert not control.cancelled()

    def test_waiting_ends_when_it_is_stopped(self) -> None:
        control = Control()
        assert control.wait(0.01)
        timer = threading.Timer(0.05, control.interrupt)
        timer.start()
        began = time.monotonic()
        assert not control.wait(600)
        assert time.monotonic() - began < 60
        timer.join()

    def test_a_front_end_that_is_gone_cancels(self) -> None:
        gone = [False]
        control = Control(abandoned=lambda: gone[0])
        assert not control.cancelled()
        gone[0] = True
        assert control.cancelled()
        assert control.stopping()
        assert control.leaving()
