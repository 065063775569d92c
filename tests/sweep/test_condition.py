"""One condition: what its play reports becomes rows; what it does not, reasons."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from analysis.samples import read_samples
from stage_runtime.formats.cell import Cell
from stage_runtime.formats.row import LinkDirection, Measurement, Row
from sweep.campaign import Campaign
from sweep.condition import CellFailures, ConditionOutcome, ConditionRecord, make_row
from sweep.errors import CampaignError, PlayError
from sweep.journal import Journal, read_rows
from sweep.linked import tell_links
from sweep.matrix import plan_matrix
from sweep.play_field import PlayField
from sweep.samples import Samples
from sweep.settling import Settling
from tests.sweep.support import FakePlays, bad, cell_of, good, link, options, samples_of, small_testbed, stage_figures
from tests.virtual_devices import PROJECT

TESTBED = small_testbed()


class Bench:
    """One condition of the pair, its play faked."""

    def __init__(self, campaign: Campaign, journal: Journal, plays: FakePlays, **given: Any) -> None:
        self.plays = plays
        self.campaign = campaign
        (self.plan,) = plan_matrix(options(**given), TESTBED, {"alexnet": tuple(range(1, 13))}, {})
        self.cells = [cell_of(run, TESTBED) for run in self.plan.runs]
        self.seen: list[Row] = []
        self.secret = campaign.folder / "secret"
        self.secret.write_text("0123")
        self.record = ConditionRecord(
            campaign=campaign,
            testbed=TESTBED,
            plan=self.plan,
            cells=self.cells,
            weights={"alexnet": "seeded:0"},
            warnings=("crowded",),
            journal=journal,
            settling=Settling(options(**given)),
            lock=threading.Lock(),
            on_row=self.seen.append,
        )
        field = PlayField(TESTBED, {"extra": 1})
        self.condition = field.condition(self.record, secret_file=self.secret, idle_s=120, ending=["v2"])

    def run(self, cancelled: Callable[[], bool] = lambda: False) -> ConditionOutcome:
        with self.record:
            return self.condition.run(cancelled=cancelled)

    @property
    def rows(self) -> list[Row]:
        return list(read_rows(self.campaign.journal_path))


BenchMaker = Callable[..., Bench]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BenchMaker]:
    with Campaign(tmp_path / "c") as campaign, Journal(campaign.journal_path) as journal:

        def make(measure: Callable[[Cell], Measurement | None] = lambda _cell: good(), **given: Any) -> Bench:
            plays = FakePlays(measure)
            monkeypatch.setattr("sweep.play_field.run_play", plays)
            return Bench(campaign, journal, plays, **given)

        yield make


def test_every_cell_becomes_a_row_in_the_plans_order(bench: BenchMaker) -> None:
    one = bench()
    assert one.run() == ConditionOutcome(rows=4, not_run=0, reasons={}, ok=4)
    assert one.seen == one.rows
    assert [(row.cell_id, row.repeat) for row in one.rows] == [run.key for run in one.plan.runs]
    assert [(cell.cell_id, cell.repeat) for cell in one.plays.measured] == [run.key for run in one.plan.runs]


def test_the_cells_of_every_block_know_their_links(bench: BenchMaker) -> None:
    one = bench(repeats=2)
    one.run()
    links = [msgspec.convert(link(*ends), LinkDirection) for ends in (("v1", "v2"), ("v2", "v1"))]
    assert one.plays.measured == [tell_links(cell, links) for cell in one.cells]
    assert {stage.link_rtt_ms for cell in one.plays.measured for stage in cell.stages[:-1]} == {0.5}


def test_a_row_carries_cell_measurement_links_and_warnings(bench: BenchMaker) -> None:
    one = bench(lambda _cell: good(warnings=("hot",), batch_latency_ms=(1.0, 2.0)))
    one.run()
    row, cell = one.rows[0], one.cells[0]
    for name in Cell.__struct_fields__:
        if name not in {"schema", "timeout_s", "stages"}:
            assert getattr(row, name) == getattr(cell, name), name
    assert (row.campaign, row.weights, row.status, row.latency_ms) == ("c", "seeded:0", "ok", 12.5)
    assert row.warnings == ("hot", "crowded")
    assert row.batch_latency_ms == (1.0, 2.0)
    assert [(link.source, link.target, link.rtt_ms) for link in row.link] == [("v1", "v2", 0.5), ("v2", "v1", 0.5)]


def test_every_field_of_a_row_is_filled_from_somewhere() -> None:
    (plan,) = plan_matrix(options(), TESTBED, {"alexnet": tuple(range(1, 13))}, {})
    measurement = good(reason="r", failed_device="d", warmup_response_ms=(3.0,), batch_response_ms=(4.0,))
    row = make_row("c", cell_of(plan.runs[0], TESTBED), measurement, weights="w", links=(), warnings=())
    for name in set(Measurement.__struct_fields__) - {"samples"}:
        assert getattr(row, name) == getattr(measurement, name), name
    assert row.schema == 1


def test_a_rows_batches_are_those_that_count() -> None:
    (plan,) = plan_matrix(options(), TESTBED, {"alexnet": tuple(range(1, 13))}, {})
    cell = cell_of(plan.runs[0], TESTBED)
    row = make_row("c", cell, good(discarded=2), weights="w", links=(), warnings=())
    assert (row.batches, row.discarded, row.warmup) == (cell.batches - 2, 2, cell.warmup)


def test_the_play_is_told_what_it_needs(bench: BenchMaker) -> None:
    one = bench()
    one.run()
    ((playbook, limit, variables),) = one.plays.calls
    assert (playbook, limit) == ("condition", "v1,v2")
    assert variables["extra"] == 1
    assert variables["condition_devices"] == ["v1", "v2"]
    assert variables["condition_network"] == "lan"
    assert variables["condition_owner"].endswith(str(PROJECT)), (
        "a sweep may take over from a killed one of this checkout"
    )
    assert variables["condition_cores_shared"] is False
    for name in ("condition_cells_folder", "condition_stop_file", "condition_secret_file"):
        assert Path(variables[name]).is_absolute()
    assert "0123" not in str(variables), "the secret itself is in no command line"


def test_the_play_is_told_where_certificates_lie_where_cells_are_to_run_under_tls(bench: BenchMaker) -> None:
    for asked, folder in (("false", ""), ("true", ".tls")):
        one = bench(tls=asked)
        one.run()
        ((_, _, variables),) = one.plays.calls
        assert Path(variables["condition_tls_folder"]).name == folder
        assert variables["condition_world_public"] is False
        assert {row.tls for row in one.seen} == {bool(folder)}


def test_a_row_is_in_the_journal_before_it_is_counted(bench: BenchMaker) -> None:
    one = bench()
    written: list[int] = []
    one.record._on_row = lambda _row: written.append(len(one.rows))
    one.run()
    assert written == [1, 2, 3, 4]


def test_samples_are_on_the_disk_before_their_row_and_a_table_when_the_condition_ends(
    bench: BenchMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = bench(lambda _cell: good(samples=samples_of()))
    known: list[tuple[int, int]] = []
    append = Journal.append

    def look(journal: Journal, row: Row) -> None:
        known.append((len(read_samples(one.campaign.folder).drop_duplicates(["cell_id", "repeat"])), len(one.rows)))
        append(journal, row)

    monkeypatch.setattr(Journal, "append", look)
    one.run()
    assert known == [(1, 0), (2, 1), (3, 2), (4, 3)]
    assert [path.name for path in (one.campaign.folder / "samples").iterdir()] == ["pair@lan-0001.parquet"]
    found = read_samples(one.campaign.folder)
    assert {(key, 0) for key in found["cell_id"]} == {run.key for run in one.plan.runs}


def test_samples_that_the_disk_refuses_keep_their_row_from_counting(
    bench: BenchMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = bench(lambda _cell: good(samples=samples_of()))

    def append(_samples: Samples, *_given: object) -> None:
        raise CampaignError("disk full")

    monkeypatch.setattr(Samples, "append", append)
    with pytest.raises(CampaignError, match="disk full"):
        one.run()
    assert one.rows == one.seen == []


ADAPTIVE: dict[str, Any] = {"repeats": 2, "most_repeats": 5, "target_percent": 5}


def test_a_settled_cell_is_not_run_again_while_the_others_go_on(bench: BenchMaker) -> None:
    one = bench(lambda cell: good(latency_ms=10.0 + 5 * cell.repeat * (cell.split == "P2")), **ADAPTIVE)
    outcome = one.run()
    assert (outcome.rows, outcome.not_run) == (3 * 2 + 5, 0)
    assert Counter(row.split for row in one.rows) == {"P1": 2, "only:v1": 2, "only:v2": 2, "P2": 5}
    assert [row.repeat for row in one.rows] == sorted(row.repeat for row in one.rows), "block by block"


def test_a_cell_that_never_is_ok_is_given_up_after_the_least_repeats(bench: BenchMaker) -> None:
    one = bench(lambda cell: bad() if cell.split == "P2" else good(), **ADAPTIVE)
    assert one.run().not_run == 0
    assert Counter(row.split for row in one.rows if row.status != "ok") == {"P2": 2}


def test_a_block_is_handed_out_once_the_one_before_has_been_measured(bench: BenchMaker) -> None:
    one = bench(**ADAPTIVE)
    handed_out: list[int] = []

    def measure(_cell: Cell) -> Measurement:
        folder = Path(one.plays.calls[0][2]["condition_cells_folder"])
        handed_out.append(len(list(folder.glob("*.json"))))
        return good()

    one.plays.measure = measure
    one.run()
    assert handed_out == [1] * 4 + [2] * 4
    assert one.plays.calls[0][2]["condition_blocks"] == 5


def test_provenance_is_written_once_every_device_has_reported(bench: BenchMaker) -> None:
    one = bench()
    one.run()
    (path,) = (one.campaign.folder / "provenance").iterdir()
    content = msgspec.json.decode(path.read_bytes())
    assert (content["chain"], content["network"]) == ("pair", "lan")
    assert content["network_definition"] == TESTBED.networks["lan"]
    assert content["devices"] == {"v1": {"hostname": "v1"}, "v2": {"hostname": "v2"}}
    assert [link["source"] for link in content["links"]] == ["v1", "v2"]


def test_three_failures_in_a_row_on_one_device_end_the_condition(bench: BenchMaker) -> None:
    one = bench(lambda _cell: bad("v2"), repeats=2)
    outcome = one.run()
    assert (outcome.rows, outcome.not_run) == (3, 4)
    assert outcome.reasons == {"v2": "failed 3 cells in a row: it broke"}
    assert [row.status for row in one.rows] == ["failed"] * 3


def test_failures_that_do_not_follow_each_other_do_not_end_it(bench: BenchMaker) -> None:
    answers = iter([bad(), bad(), good(), bad(), bad(), good(status="invalid"), bad(), bad()])
    outcome = bench(lambda _cell: next(answers), repeats=2).run()
    assert (outcome.rows, outcome.not_run, outcome.reasons) == (8, 0, {})


def test_cells_refused_for_lack_of_their_transport_do_not_end_it(bench: BenchMaker) -> None:
    one = bench(lambda cell: bad("v2") if cell.transport == "rpc" else good(), transports="tcp,rpc", repeats=2)
    one.plays.refused_transports = {"rpc"}
    outcome = one.run()
    assert outcome.reasons == {}
    assert Counter((row.transport, row.status) for row in one.rows) == {("tcp", "ok"): 8, ("rpc", "failed"): 8}


def test_a_transport_that_keeps_failing_is_given_up_and_the_other_goes_on(bench: BenchMaker) -> None:
    one = bench(lambda cell: bad("v2") if cell.transport == "rpc" else good(), transports="tcp,rpc", repeats=3)
    outcome = one.run()
    counts = Counter((row.transport, row.status) for row in one.rows)
    # of the block in which the third one failed the rest is run as well
    assert counts == {("tcp", "ok"): 12, ("rpc", "failed"): 4}
    assert (outcome.not_run, outcome.reasons) == (4, {"v2": "failed 3 rpc cells in a row: it broke"})


@pytest.mark.parametrize("window", [1, 4])
def test_a_row_says_how_near_the_run_came_to_its_bounds(window: int) -> None:
    (plan,) = plan_matrix(options(window=window), TESTBED, {"alexnet": tuple(range(1, 13))}, {})
    cell = cell_of(plan.runs[0], TESTBED)
    stages = tuple(stage_figures(f"v{n}", n, n + 1, 6.0, alone_ms=5.0, alone_cpu_ms=5.0) for n in (1, 2))
    row = make_row("c", cell, good(stages=stages), weights="w", links=(), warnings=())
    most_ips = cell.batch * 1e3 / max(5.0, 10.0 / window)
    assert (row.latency_bound_ms, row.throughput_bound_ips) == (10.0, most_ips)
    assert row.latency_efficiency == (10.0 / 12.5 if window == 1 else None)
    assert row.throughput_efficiency == 80.0 / most_ips
    assert row.throughput_limit == ("window 1" if window == 1 else "stage v1")
    row = make_row("c", cell, good(stages=()), weights="w", links=(), warnings=())
    assert (row.latency_bound_ms, row.throughput_efficiency) == (None, None)


@pytest.mark.parametrize("refused", [set(), {"rpc"}])
def test_a_dead_device_ends_the_condition_whatever_the_transports(bench: BenchMaker, refused: set[str]) -> None:
    one = bench(lambda _cell: bad("v2"), transports="tcp,rpc", repeats=9)
    one.plays.refused_transports = refused
    one.run()
    assert len(one.rows) <= 8, "within the first block"


def test_the_play_is_told_of_a_world_only_where_a_cell_needs_one(bench: BenchMaker) -> None:
    for transports, needed in (("tcp", False), ("tcp,rpc", True)):
        one = bench(transports=transports)
        one.run()
        ((_, _, variables),) = one.plays.calls
        assert (bool(variables["condition_world"]), variables["condition_needs_world"]) == (needed, needed)


def test_failures_are_counted_by_device() -> None:
    failures = CellFailures()
    said = [failures.note(bad(name)) for name in ("a", "a", "b", "b", "a", "a", "a")]
    assert said == [None] * 6 + ["a"]
    failures = CellFailures()
    said = [failures.note(one) for one in (bad("a", "timeout"), bad("a"), bad("a", "timeout"))]
    assert said == [None, None, "a"], "a timeout is a failure as well"
    failures = CellFailures()
    assert [failures.note(bad(None)) for _ in range(5)] == [None] * 5, "nobody is to blame"


def test_a_stop_asked_for_ends_it_after_the_running_cell(bench: BenchMaker) -> None:
    one = bench()

    def measure(_cell: Cell) -> Measurement:
        one.condition.stop_after_this_cell()
        return good()

    one.plays.measure = measure
    outcome = one.run()
    assert (outcome.rows, outcome.not_run, outcome.reasons) == (1, 3, {})


def test_a_stop_asked_for_before_the_play_began_holds(bench: BenchMaker) -> None:
    one = bench()
    one.condition.stop_after_this_cell()
    assert one.run().rows == 0


def test_a_stop_of_the_last_invocation_does_not(bench: BenchMaker) -> None:
    bench().condition.stop_after_this_cell()
    assert bench().run().rows == 4


def test_a_host_that_fails_is_the_reason(bench: BenchMaker) -> None:
    one = bench()
    one.plays.refused["condition"] = {"v2": "no sch_netem"}
    assert one.run() == ConditionOutcome(rows=0, not_run=4, reasons={"v2": "no sch_netem"})


def test_a_play_that_cannot_be_run_ends_this_condition_alone(bench: BenchMaker) -> None:
    one = bench()
    one.plays.broken["condition"] = "ansible-playbook is missing"
    outcome = one.run()
    assert (outcome.rows, outcome.not_run) == (0, 4)
    assert "ansible-playbook is missing" in str(outcome.reasons)


def test_a_measurement_that_cannot_be_read_is_an_error_with_its_place(bench: BenchMaker) -> None:
    one = bench()
    item = {"cell_id": one.cells[0].cell_id, "repeat": 0, "measurement": {"status": "fine"}}
    with pytest.raises(PlayError, match=r"task `Run one cell` on v1 .*status"):
        one.condition._take("v1", "Run one cell", item)
    assert one.rows == []


def test_results_of_other_tasks_are_no_rows(bench: BenchMaker) -> None:
    one = bench()
    for result in ({}, {"ansible_facts": None}, {"ansible_facts": {"x": 1}}, {"skipped": True}, {"results": [{}]}):
        one.condition._take("v1", "any", result)
    assert one.rows == one.seen == []


def test_a_full_disk_is_not_swallowed(bench: BenchMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    one = bench()

    def append(_journal: Journal, _row: Row) -> None:
        raise CampaignError("disk full")

    monkeypatch.setattr(Journal, "append", append)
    with pytest.raises(CampaignError, match="disk full"):
        one.run()
    assert one.seen == []
