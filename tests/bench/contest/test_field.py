"""A sweep with the baseline between its cells, over plays that are made up."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.contest.field import ContestField
from bench.contest.interleave import Job
from bench.contest.sides import Contest
from stage_runtime.formats.cell import Cell
from stage_runtime.formats.row import Measurement
from sweep.driver import sweep
from sweep.interrupt import Control
from sweep.journal import read_rows
from sweep.play_field import PlayField
from tests.bench.contest.made import bench_testbed, contest, make_nothing
from tests.sweep.support import FakePlays, Recorder, good


@dataclasses.dataclass
class Bench:
    """Run contests into one results folder; `order` is what was done, cells and jobs alike."""

    results: Path
    plays: FakePlays
    order: list[Cell | Job] = dataclasses.field(default_factory=list)
    control: Control = dataclasses.field(default_factory=Control)
    on_job: Callable[[Job], None] = lambda _job: None

    def run(self, jobs: Sequence[Job], stopping: Callable[[], bool]) -> None:
        for job in jobs:
            if stopping():
                return
            self.order.append(job)
            self.on_job(job)

    def __call__(self, measure: Callable[[Cell], Measurement] = lambda _cell: good(), **changes: Any) -> int:
        one: Contest = contest(results=str(self.results), **changes)

        def note(cell: Cell) -> Measurement:
            self.order.append(cell)
            return measure(cell)

        self.plays.measure = note
        testbed = bench_testbed()
        return sweep(
            one.options(),
            testbed,
            Recorder(),
            self.control,
            command=["bench"],
            field=ContestField(PlayField(testbed, {}), self.control, lambda _folder: self),
            keep=one.keep(),
        )


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    plays = FakePlays()
    make_nothing(monkeypatch, plays, tmp_path)
    return Bench(tmp_path / "results", plays)


SPLITS = {"alexnet": {"lan": (3, 6), "mbit5": (6,)}}


def test_every_cell_and_every_job_is_done_once(bench: Bench) -> None:
    assert bench(splits=SPLITS) == 0
    jobs = [done for done in bench.order if isinstance(done, Job)]
    cells = [done for done in bench.order if isinstance(done, Cell)]
    assert len({job.key for job in jobs}) == len(jobs) == 2 * 2 * (2 + 1)
    assert len({(cell.cell_id, cell.repeat) for cell in cells}) == len(cells) == 2 * 2 * (3 * 4 + 2 * 3)


def test_jobs_are_done_while_their_condition_holds(bench: Bench) -> None:
    bench(splits=SPLITS)
    networks = [done.cell.network if isinstance(done, Job) else done.network for done in bench.order]
    assert networks == sorted(networks), "lan, then mbit5, and nothing of one within the other"
    assert isinstance(bench.order[0], Cell), "no job before the links have been shaped"
    assert isinstance(bench.order[-1], Job), "the last job is done before the play takes the condition off"


def test_jobs_lie_between_cells_of_their_own_repeat(bench: Bench) -> None:
    bench(splits=SPLITS)
    repeats = [done.cell.repeat if isinstance(done, Job) else done.repeat for done in bench.order[:36]]
    assert repeats == sorted(repeats)
    kinds = [isinstance(done, Job) for done in bench.order]
    assert max(len(run) for run in "".join("J" if kind else "c" for kind in kinds).split("c")) == 1


def test_a_stopped_contest_begins_no_job(bench: Bench) -> None:
    def stop(_job: Job) -> None:
        bench.control.interrupt()

    bench.on_job = stop
    assert bench(splits=SPLITS) == 3
    assert sum(isinstance(done, Job) for done in bench.order) == 1


def test_a_contest_taken_up_again_waits_for_links_before_it_does_jobs(bench: Bench) -> None:
    def stop_late(job: Job) -> None:
        if job.cell.repeat == 1:
            bench.control.interrupt()

    bench.on_job = stop_late
    assert bench(splits=SPLITS) == 3
    bench.order.clear()
    bench.control = Control()
    bench.on_job = lambda _job: None
    assert bench(splits=SPLITS) == 0
    assert isinstance(bench.order[0], Cell)
    assert bench.order[0].repeat == 1, "what is in the journal is not run again"
    done = [job.key for job in bench.order if isinstance(job, Job)]
    lan, slow = ([key for key in done if key[1] == network] for network in ("lan", "mbit5"))
    assert {key[-1] for key in lan} == {1}
    assert len(set(lan)) == len(lan) == 2 * 2
    assert len(set(slow)) == len(slow) == 2 * 2
    (campaign,) = bench.results.iterdir()
    assert len(list(read_rows(campaign / "journal.jsonl"))) == 2 * 2 * (3 * 4 + 2 * 3)


def test_stages_bear_the_silence(bench: Bench) -> None:
    bench(splits=SPLITS)
    idle = {variables["stage_service_idle_s"] for name, _, variables in bench.plays.calls if name == "condition"}
    assert min(idle) >= 1800
