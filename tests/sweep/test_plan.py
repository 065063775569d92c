"""A campaign's plan: what is refused first, what is left, what a dry run says."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stage_runtime.errors import LinkError
from sweep.campaign import choose_folder
from sweep.errors import InventoryError, OptionError
from sweep.journal import Journal, read_rows
from sweep.matrix import Run
from sweep.plan import Prepared, check_first, dry_run, graph_ranges, plan, resume_line
from tests.sweep.support import LAN, Recorder, bad, good, manifest, options, row_of, small_testbed

TESTBED = small_testbed()
GIVEN: dict[str, Any] = {"networks": "lan,slow", "splits": "P1,P4", "repeats": 2}


def prepare(journal: Path, **given: Any) -> Prepared:
    with (
        mock.patch("sweep.plan.make_shards", side_effect=lambda _options, model: manifest(model)),
        mock.patch("sweep.plan.make_inputs", return_value="inputs"),
        mock.patch("sweep.plan.make_reference"),
    ):
        return plan(options(**(GIVEN | given)), TESTBED, journal, Recorder())


def runs_of(plans: Any) -> list[Run]:
    return [run for one in plans for run in one.runs]


ALL_RUNS = runs_of(prepare(Path("/nowhere")).plans)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"chains": "pare"}, InventoryError),
        ({"networks": "lann"}, InventoryError),
        ({"splits": "P13"}, OptionError),
        ({"splits": "x"}, OptionError),
        ({"splits": "x", "granularity": "all"}, OptionError),
        ({"splits": "P1+P2", "granularity": "all"}, OptionError),
    ],
    ids=str,
)
def test_what_is_wrong_is_refused_before_anything_is_made(made: list[str], given: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        check_first(options(**given), TESTBED)
    with pytest.raises(error):
        plan(options(**given), TESTBED, Path("/nowhere"), Recorder())
    assert made == []


def test_a_network_whose_hops_do_not_fit_the_chain_is_refused_first(made: list[str]) -> None:
    testbed = small_testbed(networks={"lan": LAN, "uneven": {"hops": [LAN, LAN]}})
    with pytest.raises(LinkError, match="describes 2 hops but the chain v1 → v2 has 1"):
        plan(options(networks="uneven"), testbed, Path("/nowhere"), Recorder())
    assert made == []
    check_first(options(networks="uneven", chains="trio", splits="all"), testbed)
    check_first(options(networks="lan"), testbed)


def test_weights_and_inputs_define_a_cell_by_content(tmp_path: Path) -> None:
    weights, pictures = tmp_path / "w.pth", tmp_path / "pictures"
    pictures.mkdir()
    weights.write_bytes(b"1")
    (pictures / "a.jpg").write_bytes(b"1")
    given = {"weights": str(weights), "inputs": str(pictures)}
    seen: list[frozenset[str]] = []

    def look() -> frozenset[str]:
        seen.append(frozenset(run.cell.cell_id for run in runs_of(prepare(tmp_path / "j", **given).plans)))
        return seen[-1]

    assert look() == look()
    for path, content in ((weights, b"2"), (pictures / "a.jpg", b"2"), (pictures / "b.jpg", b"1")):
        path.write_bytes(content)
        assert not look() & seen[-2]


def test_a_word_is_no_file_even_where_one_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = runs_of(prepare(tmp_path / "j").plans)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seeded").touch()
    assert runs_of(prepare(tmp_path / "j").plans) == before


def journal_of(statuses: list[str], latency: Callable[[Run], float] = lambda _run: 12.5) -> bytes:
    rows = [
        row_of(run, TESTBED, good(latency_ms=latency(run)) if status == "ok" else bad(status=status))
        for run, status in zip(ALL_RUNS, statuses, strict=False)
    ]
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


WHOLE = journal_of(["ok"] * len(ALL_RUNS))


@given(st.integers(0, len(WHOLE)))
@settings(max_examples=30, deadline=None)
def test_a_journal_cut_anywhere_and_resumed_holds_every_run_exactly_once(at: int) -> None:
    with tempfile.TemporaryDirectory() as folder, mock.patch("os.fsync"):
        path = Path(folder) / "journal.jsonl"
        path.write_bytes(WHOLE[:at])
        left = runs_of(prepare(path).left)
        assert left == ALL_RUNS[WHOLE[:at].count(b"\n") :]
        with Journal(path) as journal:
            for run in left:
                journal.append(row_of(run, TESTBED))
        found = Counter((row.cell_id, row.repeat) for row in read_rows(path))
        assert found == Counter(run.key for run in ALL_RUNS)
        assert prepare(path).left == ()


@given(st.lists(st.sampled_from(["ok", "failed", "timeout", "invalid"]), max_size=len(ALL_RUNS)))
@settings(max_examples=40, deadline=None)
def test_failed_runs_are_left_only_where_they_are_asked_for(statuses: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        path.write_bytes(journal_of(statuses))
        never = ALL_RUNS[len(statuses) :]
        failed = [run for run, status in zip(ALL_RUNS, statuses, strict=False) if status != "ok"]
        assert runs_of(prepare(path).left) == never
        again = runs_of(prepare(path, retry_failed=True).left)
        assert sorted(run.key for run in again) == sorted(run.key for run in failed + never)


def test_conditions_that_are_done_are_not_begun(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(journal_of(["ok"] * (len(ALL_RUNS) // 2)))
    assert [one.network for one in prepare(path).left] == ["slow"]


def test_more_networks_repeats_and_splits_leave_only_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(WHOLE)
    done = {run.key for run in ALL_RUNS}
    assert prepare(path).left == ()
    for more in ({"repeats": 3}, {"splits": "P1,P4,P5"}, {"window": "1,2"}, {"chains": "pair,real"}):
        left = runs_of(prepare(path, **more).left)
        assert left
        assert not done & {run.key for run in left}
        assert len(left) == len(runs_of(prepare(path, **more).plans)) - len(ALL_RUNS)


def test_the_resume_line_counts(tmp_path: Path) -> None:
    path = tmp_path / "j"
    assert resume_line(prepare(path), tmp_path) == f"campaign {tmp_path}: 8 cells, 16 runs to do"
    path.write_bytes(journal_of(["ok"] * 5))
    assert resume_line(prepare(path), tmp_path) == (
        f"campaign {tmp_path}: 8 cells, 5 runs already in the journal, 11 runs to do"
    )
    assert resume_line(prepare(path, most_repeats=9), tmp_path).endswith(
        "5 runs already in the journal, 11-60 runs to do"
    )


def test_a_dry_run_prints_the_matrix_and_a_time_and_writes_nothing(tmp_path: Path, made: list[str]) -> None:
    asked = options(**(GIVEN | {"results": str(tmp_path / "results")}))
    screen = Recorder()
    dry_run(asked, TESTBED, choose_folder(asked), screen)
    assert made == ["alexnet"]
    assert not (tmp_path / "results").exists()
    lan, slow, campaign, total = screen.lines
    assert lan.startswith("pair (v1 → v2) under lan: 4 cells, about 0:")
    assert lan.endswith(": only:v1, only:v2, P1, P4")
    assert "under slow: 4 cells" in slow
    assert campaign.endswith(": 8 cells, 16 runs to do")
    assert total.startswith("estimated time 2:")
    assert "no device was touched" in total


def test_a_dry_run_gives_the_least_and_the_most_time(tmp_path: Path, made: list[str]) -> None:
    asked = options(**(GIVEN | {"results": str(tmp_path / "results"), "most_repeats": 6}))
    screen = Recorder()
    dry_run(asked, TESTBED, choose_folder(asked), screen)
    assert made == ["alexnet"]
    for line in (*screen.lines[:2], screen.lines[-1]):
        assert re.search(r"\d:\d\d to \d+:\d\d", line), line
    assert "8 cells, 16-48 runs to do" in screen.text


def test_settled_cells_are_not_left(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(WHOLE)
    assert prepare(path, most_repeats=6).left == (), "equal figures have no width"
    wider = journal_of(["ok"] * len(ALL_RUNS), latency=lambda run: 10.0 + run.repeat * (run.cell.split == "P4"))
    path.write_bytes(wider)
    left = runs_of(prepare(path, most_repeats=6).left)
    assert Counter((run.cell.split, run.cell.network) for run in left) == {("P4", "lan"): 4, ("P4", "slow"): 4}


def test_graphs_are_made_of_what_onnx_runtime_may_compute_and_of_nothing_else(tmp_path: Path) -> None:
    asked: list[tuple[str, set[tuple[int, int]]]] = []
    with mock.patch("sweep.plan.make_graphs", side_effect=lambda model, ranges: asked.append((model.model, ranges))):
        prepare(tmp_path / "journal.jsonl", engine="eager,channels_last")
        assert asked == []
        prepare(tmp_path / "journal.jsonl", engine="eager,onnxruntime")
        prepare(tmp_path / "journal.jsonl", engine="best")
    cuts = {(0, 1), (1, 13), (0, 4), (4, 13), (0, 13)}
    assert asked == [("alexnet", cuts), ("alexnet", cuts)]


def test_ranges_are_those_of_every_stage_with_blocks() -> None:
    planned = prepare(Path("/nowhere"), chains="trio", splits="P1+P4").plans
    assert graph_ranges(planned) == {}
    with mock.patch("sweep.plan.make_graphs"):
        planned = prepare(Path("/nowhere"), chains="trio", splits="P1+P4", engine="best").plans
    assert graph_ranges(planned) == {"alexnet": {(0, 1), (1, 4), (4, 13), (0, 13)}}
