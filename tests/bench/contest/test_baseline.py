"""The baseline's rows: figures of what the parts say, one for each job, kept."""

from __future__ import annotations

import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from bench.contest.baseline import BASELINE, Baseline, figures, read_baseline
from bench.contest.interleave import Job, interleave
from bench.contest.workers import Workers, order_for
from bench.pickle_chain.orders import Answer, FirstFigures, Order, SecondFigures
from bench.testbed import BenchError
from tests.bench.contest.made import bench_testbed, contest, planned_cells

FIRST = FirstFigures(
    bytes=100, compute_ms=(1, 2, 3), pickle_ms=(4, 5, 6), send_ms=(7, 8, 9), response_ms=(30.0, 10.0, 20.0)
)
SECOND = SecondFigures(
    computed_ms=(0.0, 40.0, 100.0), receive_ms=(1, 1, 1), unpickle_ms=(2, 2, 2), compute_ms=(3, 3, 3)
)
DEVICES = bench_testbed().devices


def jobs(**changes: Any) -> list[Job]:
    cells = planned_cells(contest(splits={"alexnet": {"lan": (3, 6)}}, **changes))
    return [job for step in interleave(cells) for job in step.jobs]


class FakePair:
    """Answers each run, or fails while `broken`."""

    def __init__(self) -> None:
        self.orders: list[tuple[Order, Order]] = []
        self.broken = False

    def run(self, first: Order, second: Order, timeout_s: float) -> tuple[Answer, Answer]:
        assert timeout_s > first.timeout_s
        self.orders.append((first, second))
        if self.broken:
            raise BenchError("it broke")
        return Answer(first=FIRST), Answer(second=SECOND)


def baseline(folder: Path, pair: FakePair, said: list[str] | None = None) -> Baseline:
    lines = [] if said is None else said
    return Baseline(folder, DEVICES, pair, limit_s=4.0, say=lines.append)


def never() -> bool:
    return False


def test_figures_are_of_the_measured_batches() -> None:
    found = figures(FIRST, SECOND, batch=8)
    assert found["throughput_ips"] == pytest.approx(2 * 8 / 0.1)
    assert found["response_ms"] == 20.0
    assert (found["batches"], found["bytes"], found["first_compute_ms"], found["send_ms"]) == (3, 100, 2, 8)
    assert (
        figures(FirstFigures(bytes=1, compute_ms=(1,), pickle_ms=(1,), send_ms=(1,)), SECOND, 8)["response_ms"] is None
    )


def test_both_parts_are_told_the_same_cut(tmp_path: Path) -> None:
    pair = FakePair()
    baseline(tmp_path, pair).run(jobs(repeats=1), never)
    assert len(pair.orders) == 4
    for first, second in pair.orders:
        assert (first.part, second.part) == ("first", "second")
        assert (first.cut, first.blocks) == (second.cut, second.blocks)
        assert first.cut in {3, 6}
        assert first.blocks == 13
        assert first.address == second.address == DEVICES["v2"].data_address
        assert first.shards_dir == "/nowhere/v1/shards"
        assert second.shards_dir == "/nowhere/v2/shards"
        assert first.least == 4, "a window of three and one, as our cells have at least"


def test_every_job_has_a_row_and_is_not_run_again(tmp_path: Path) -> None:
    pair = FakePair()
    wanted = jobs()
    baseline(tmp_path, pair).run(wanted[:3], never)
    baseline(tmp_path, pair).run(wanted, never)
    rows = read_baseline(tmp_path)
    assert [row.key for row in rows] == [job.key for job in wanted]
    assert len(pair.orders) == len(wanted) == 8


def test_a_job_that_failed_is_run_again_by_the_next_command(tmp_path: Path) -> None:
    pair = FakePair()
    pair.broken = True
    baseline(tmp_path, pair).run(jobs()[:1], never)
    pair.broken = False
    baseline(tmp_path, pair).run(jobs()[:1], never)
    assert [(row.status, row.reason) for row in read_baseline(tmp_path)] == [("failed", "it broke"), ("ok", "")]


def test_it_is_given_up_after_three_failures_in_a_row(tmp_path: Path) -> None:
    pair, said = FakePair(), []
    pair.broken = True
    baseline(tmp_path, pair, said).run(jobs(), never)
    assert len(pair.orders) == 3
    assert "given up" in said[-1]


def test_nothing_is_begun_once_stopping(tmp_path: Path) -> None:
    pair = FakePair()
    baseline(tmp_path, pair).run(jobs(), lambda: True)
    assert pair.orders == []
    assert not (tmp_path / BASELINE).exists()


_ECHO = """
import sys, json
print("a warning of some library", flush=True)
for line in sys.stdin:
    order = json.loads(line)
    if order["cut"] == 99:
        print(json.dumps({"error": "no such cut"}), flush=True)
    elif order["cut"] == 98:
        sys.exit(1)
    elif order["part"] == "first":
        told = {"bytes": order["port"], "compute_ms": [1], "pickle_ms": [1], "send_ms": [1]}
        print(json.dumps({"first": told}), flush=True)
    else:
        more = json.dumps({"second": {"computed_ms": [0], "receive_ms": [1], "unpickle_ms": [1], "compute_ms": [1]}})
        print(json.dumps({"port": 47}) + "\\n" + more, flush=True)
"""


class TestWorkers:
    """Processes that take orders, on no device."""

    def start(self, _name: str) -> AbstractContextManager[subprocess.Popen[str]]:
        self.started += 1
        return subprocess.Popen([sys.executable, "-c", _ECHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def orders(self, cut: int = 3) -> tuple[Order, Order]:
        cell = jobs()[0].cell
        told: dict[str, Any] = {"batches": 2, "least": 2, "limit_s": 1.0, "one_in_flight": True}
        first, second = (order_for(cell, DEVICES[stage.device], **told) for stage in cell.stages)
        return first, Order(**{name: getattr(second, name) for name in Order.__struct_fields__} | {"cut": cut})

    def test_answers_come_from_both_and_the_processes_stay(self) -> None:
        self.started = 0
        with Workers(("v1", "v2"), self.start) as workers:
            for _ in range(2):
                near, far = workers.run(*self.orders(), 20.0)
                assert near.first is not None
                assert near.first.bytes == 47, "the first part is told where the second listens"
                assert far.second is not None
        assert self.started == 2

    def test_an_error_names_the_device_and_what_it_said_and_the_next_run_starts_anew(self) -> None:
        self.started = 0
        with Workers(("v1", "v2"), self.start) as workers:
            with pytest.raises(BenchError, match=r"on v2 answered no such cut.*a warning of some library"):
                workers.run(*self.orders(cut=99), 20.0)
            with pytest.raises(BenchError, match="on v2 has ended"):
                workers.run(*self.orders(cut=98), 20.0)
            assert workers.run(*self.orders(), 20.0)[0].first is not None
        assert self.started == 6

    def test_a_stopped_benchmark_waits_for_none(self) -> None:
        self.started = 0
        told = self.orders()
        with (
            Workers(("v1", "v2"), lambda _name: _silent(), lambda: True) as workers,
            pytest.raises(BenchError, match="was stopped"),
        ):
            workers.run(*told, 20.0)


def _silent() -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "import sys; list(sys.stdin)"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
