"""Journals are read whole, and what is wrong in them is told by file and line, by however many processes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import msgspec
import pytest

import analysis
from analysis.campaigns import find_campaigns
from analysis.errors import AnalysisError
from analysis.journal import Journal
from analysis.reading import Readers, read_journals
from stage_runtime.errors import FormatError
from stage_runtime.formats.row import Row
from tests.analysis.journals import rows_of
from tests.analysis.synthetic import Plan, failed, make_row, write_campaign

PLAN = Plan(batches=3)


def read(*folders: Path) -> Journal:
    return read_journals(find_campaigns(folders, Path("unused")))


def row(repeat: int = 0, split: str = "P3") -> Row:
    return make_row(PLAN, "lan", split, 1, repeat)


def test_rows_come_back_as_they_were_written_in_order(tmp_path: Path) -> None:
    rows = [row(0), row(1), row(0, "only:pi1")]
    journal = read(write_campaign(tmp_path / "c", rows))
    assert rows_of(journal) == rows
    assert list(journal.lines) == [1, 2, 3]
    assert journal.notes == []


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_a_torn_last_line_is_ignored_and_noted(tmp_path: Path, share: float) -> None:
    line = msgspec.json.encode(row(1))
    journal = read(write_campaign(tmp_path / "c", [row(0)], tail=line[: int(len(line) * share)]))
    assert list(journal.rows.held["repeat"]) == [0]
    assert len(journal.notes) == 1
    assert journal.notes[0].endswith("journal.jsonl:2: the last line was cut short and is ignored")


def test_a_last_line_that_only_lacks_its_newline_counts(tmp_path: Path) -> None:
    journal = read(write_campaign(tmp_path / "c", [row(0)], tail=msgspec.json.encode(row(1))))
    assert list(journal.rows.held["repeat"]) == [0, 1]
    assert journal.notes == []


def test_a_torn_line_in_the_middle_loses_no_later_row(tmp_path: Path) -> None:
    tail = b'{"schema": 1, "camp\n' + msgspec.json.encode(row(1)) + b"\n"
    journal = read(write_campaign(tmp_path / "c", [row(0)], tail=tail))
    assert list(journal.rows.held["repeat"]) == [0, 1]
    assert "journal.jsonl:2: a line is no JSON" in journal.notes[0]


def test_json_that_is_no_row_is_refused_by_file_and_line(tmp_path: Path) -> None:
    strange = {**msgspec.to_builtins(row(1)), "colour": "green"}
    folder = write_campaign(tmp_path / "c", [row(0)], tail=json.dumps(strange).encode() + b"\n")
    with pytest.raises(FormatError, match=r"journal.jsonl:2 is no row of schema 1: .*`colour`"):
        read(folder)


def test_a_row_of_another_schema_is_refused(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path / "c", [msgspec.structs.replace(row(), schema=2)])
    with pytest.raises(FormatError, match="its schema is 2"):
        read(folder)


def test_a_second_ok_of_the_same_cell_and_repeat_does_not_count_and_is_noted(tmp_path: Path) -> None:
    again = msgspec.structs.replace(row(0), latency_ms=1.0)
    journal = read(write_campaign(tmp_path / "c", [row(0), row(1), again]))
    assert list(journal.lines) == [1, 2]
    assert f"journal.jsonl:3: cell {again.cell_id} repeat 0 is ok a second time (first on line 1)" in journal.notes[0]


def test_a_failure_is_kept_and_marked_when_a_retry_made_it_good(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path / "c", [failed(row(0), "cut off"), failed(row(1), "cut off"), row(0)])
    journal = read(folder)
    marks = list(zip(journal.rows.held["status"], journal.superseded, strict=True))
    assert marks == [("failed", True), ("failed", False), ("ok", False)]
    assert journal.notes == []


def test_campaigns_merge_and_their_equal_cells_are_further_repeats(tmp_path: Path) -> None:
    first = write_campaign(tmp_path / "a", [row(0)])
    second = write_campaign(tmp_path / "b", [msgspec.structs.replace(row(0), campaign="b")])
    runs = analysis.load([first, second])
    assert list(runs["campaign"]) == ["made-up", "b"]
    assert runs["cell_id"].nunique() == 1
    assert runs.attrs["notes"] == []


@pytest.fixture
def cut_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pieces of any size read by processes of their own."""
    monkeypatch.setattr("analysis.reading._LEAST_PIECE", 1)


def read_by(processes: int, *folders: Path) -> Journal:
    campaigns = find_campaigns(folders, Path("unused"))
    with Readers(campaigns, processes) as readers:
        return read_journals(campaigns, readers)


@pytest.mark.usefixtures("cut_small")
def test_pieces_read_by_several_processes_make_the_same_journal(tmp_path: Path) -> None:
    rows = [row(repeat, split) for repeat in range(7) for split in ("P3", "only:pi1")]
    # its retry, and a second one of the first row, lie in other pieces than they do
    rows = [failed(row(7), "cut off"), *rows, row(7), msgspec.structs.replace(row(0), latency_ms=1.0)]
    first = write_campaign(tmp_path / "a", rows, tail=b'{"schema": 1, "camp')
    second = write_campaign(tmp_path / "b", [msgspec.structs.replace(each, campaign="b") for each in rows])
    alone = read(first, second)
    assert rows_of(alone) == [*rows[:-1], *(msgspec.structs.replace(each, campaign="b") for each in rows[:-1])]
    for processes in (2, 3, 4):
        journal = read_by(processes, first, second)
        assert rows_of(journal) == rows_of(alone)
        assert (journal.journals, journal.lines) == (alone.journals, alone.lines)
        assert (journal.superseded, journal.notes) == (alone.superseded, alone.notes)
        # what runs share they share across pieces
        assert len({id(link) for link in journal.rows.held["link"]}) == 1
    assert [note.partition(": ")[0] for note in alone.notes] == [
        f"{first}/journal.jsonl:18",
        f"{first}/journal.jsonl:17",
        f"{second}/journal.jsonl:17",
    ]


@pytest.mark.usefixtures("cut_small")
@pytest.mark.parametrize("bad", range(8))
def test_a_line_that_is_no_row_is_named_whichever_process_read_it(tmp_path: Path, bad: int) -> None:
    rows = [row(repeat) for repeat in range(8)]
    rows[bad] = msgspec.structs.replace(rows[bad], schema=2)
    folder = write_campaign(tmp_path / "c", rows)
    with pytest.raises(FormatError, match=f"journal.jsonl:{bad + 1} is no row of schema 1: its schema is 2"):
        read_by(3, folder)


@pytest.mark.usefixtures("cut_small")
def test_a_line_longer_than_a_piece_is_read_once(tmp_path: Path) -> None:
    rows = [row(0), msgspec.structs.replace(row(1), reason="x" * 100_000), row(2)]
    assert rows_of(read_by(4, write_campaign(tmp_path / "c", rows))) == rows


@pytest.mark.usefixtures("cut_small")
def test_there_is_a_process_for_each_further_piece(tmp_path: Path) -> None:
    campaigns = find_campaigns([write_campaign(tmp_path / "c", [row(n) for n in range(9)])], Path("unused"))
    for cores, further in ((1, 0), (2, 1), (4, 3), (64, 3)):
        with Readers(campaigns, cores) as readers:
            assert readers.count == further


def test_short_journals_are_read_by_one_process(tmp_path: Path) -> None:
    campaigns = find_campaigns([write_campaign(tmp_path / "c", [row()])], Path("unused"))
    with Readers(campaigns, 4) as readers:
        assert readers.count == 0
        assert len(read_journals(campaigns, readers)) == 1


def test_an_empty_campaign_names_the_path_and_the_remedy(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path / "c", [])
    with pytest.raises(AnalysisError, match=r"no finished run in .*/c/journal.jsonl.*Run the sweep"):
        read(folder)


def test_an_empty_campaign_beside_a_full_one_is_noted(tmp_path: Path) -> None:
    journal = read(write_campaign(tmp_path / "a", []), write_campaign(tmp_path / "b", [row()]))
    assert len(journal) == 1
    assert journal.notes == [f"{tmp_path}/a/journal.jsonl: no finished run"]


def test_load_gives_one_row_per_run_with_every_field_of_the_format(tmp_path: Path) -> None:
    rows = [row(0), failed(row(1), "cut off")]
    runs = analysis.load(write_campaign(tmp_path / "c", rows))
    assert set(Row.__struct_fields__) < set(runs.columns)
    assert list(runs["status"]) == ["ok", "failed"]
    assert runs["latency_ms"].isna().tolist() == [False, True]
    assert runs["stages"][0][0]["device"] == "pi1"
    assert runs["cut"][0] == (3,)


def pack(folder: Path) -> Path:
    plain = folder / "journal.jsonl"
    (folder / "journal.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    return folder


def test_a_packed_journal_is_read_like_a_plain_one(tmp_path: Path) -> None:
    rows = [row(0), row(1)]
    journal = read(pack(write_campaign(tmp_path / "c", rows, tail=b'{"schema"')))
    assert rows_of(journal) == rows
    assert journal.notes[0].endswith("journal.jsonl.gz:3: the last line was cut short and is ignored")


def test_a_damaged_pack_is_refused_with_a_remedy(tmp_path: Path) -> None:
    folder = pack(write_campaign(tmp_path / "c", [row(0)]))
    whole = (folder / "journal.jsonl.gz").read_bytes()
    for damaged in (whole[:-20], b"no pack", whole[:40] + b"\0\0\0\0" + whole[44:]):
        (folder / "journal.jsonl.gz").write_bytes(damaged)
        with pytest.raises(FormatError, match=r"journal.jsonl.gz: the packed journal is damaged .*fetch it again"):
            read(folder)
