"""The journal: whole rows on the disk, whatever happens to the process or the disk."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stage_runtime.formats.row import Row
from sweep.errors import CampaignError
from sweep.journal import Journal, read_rows
from sweep.matrix import plan_matrix
from tests.sweep.disk import disk_of
from tests.sweep.support import options, row_of, small_testbed

TESTBED = small_testbed()
_PLAN = plan_matrix(options(repeats=2), TESTBED, {"alexnet": tuple(range(1, 13))}, {})
ROWS = [row_of(run, TESTBED) for plan in _PLAN for run in plan.runs]


def write(path: Path, rows: list[Row]) -> bytes:
    with Journal(path) as journal:
        for row in rows:
            journal.append(row)
    return path.read_bytes()


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    content = write(tmp_path / "j", ROWS)
    assert list(read_rows(tmp_path / "j")) == ROWS
    assert content.count(b"\n") == len(ROWS)
    assert content.endswith(b"\n")


def test_a_journal_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert list(read_rows(tmp_path / "j")) == []


def test_opening_again_goes_on_after_the_last_row(tmp_path: Path) -> None:
    write(tmp_path / "j", ROWS[:2])
    write(tmp_path / "j", ROWS[2:])
    assert list(read_rows(tmp_path / "j")) == ROWS


def test_a_row_is_on_the_disk_before_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "j"
    journal = Journal(path)
    synced: list[bytes] = []
    inode = path.stat().st_ino

    def fsync(fd: int) -> None:
        assert os.fstat(fd).st_ino == inode
        synced.append(path.read_bytes())

    monkeypatch.setattr(os, "fsync", fsync)
    for count, row in enumerate(ROWS[:3], start=1):
        journal.append(row)
        assert len(synced) == count
        assert synced[-1] == path.read_bytes()
    journal.close()
    assert list(read_rows(path)) == ROWS[:3]


def test_a_new_journal_is_itself_entered_in_its_folder_durably(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    Journal(tmp_path / "j").close()
    assert tmp_path.stat().st_ino in synced


CONTENT = b"".join(msgspec.json.encode(row) + b"\n" for row in ROWS)


@given(st.integers(0, len(CONTENT)))
@settings(max_examples=40, deadline=None)
def test_a_journal_cut_at_any_byte_keeps_its_whole_rows_and_goes_on(at: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "j"
        path.write_bytes(CONTENT[:at])
        whole = CONTENT[:at].count(b"\n")
        assert list(read_rows(path)) == ROWS[:whole]
        write(path, ROWS[whole : whole + 1])
        assert list(read_rows(path)) == ROWS[: whole + 1]


@pytest.mark.parametrize("tail", [b"\0" * 100, b"\xff\xfe", b'{"schema":1', b"x" * 10])
def test_whatever_a_crash_left_after_the_last_newline_is_ignored_and_cut(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "j"
    content = write(path, ROWS[:2])
    path.write_bytes(content + tail)
    assert list(read_rows(path)) == ROWS[:2]
    write(path, ROWS[2:3])
    assert list(read_rows(path)) == ROWS[:3]


@pytest.mark.parametrize("line", [b"\n", b"{}\n", b"not json\n", b'{"cell_id": "a", "repeat": 0, "status": "fine"}\n'])
def test_a_whole_line_that_is_no_row_is_an_error_with_its_place(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "j"
    path.write_bytes(write(path, ROWS[:1]) + line)
    with pytest.raises(CampaignError, match=r"j:2: not a result row.*fresh=true"):
        list(read_rows(path))


@pytest.mark.parametrize("room", [0, 1, 100], ids="room for {} bytes".format)
def test_a_full_disk_is_an_error_and_leaves_whole_rows(tmp_path: Path, room: int) -> None:
    path = tmp_path / "j"
    before = write(path, ROWS[:2])
    with Journal(path) as journal:
        with disk_of(len(before) + room), pytest.raises(CampaignError, match="free some space and run again"):
            journal.append(ROWS[2])
        assert path.read_bytes() == before
        journal.append(ROWS[2])
    assert list(read_rows(path)) == ROWS[:3]


def test_a_row_that_could_not_be_synced_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "j"
    before = write(path, ROWS[:1])

    def fsync(_fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with Journal(path) as journal:
        monkeypatch.setattr(os, "fsync", fsync)
        with pytest.raises(CampaignError, match="Input/output error"):
            journal.append(ROWS[1])
    assert path.read_bytes() == before


def test_a_journal_that_cannot_be_opened_is_a_campaign_error(tmp_path: Path) -> None:
    (tmp_path / "j").mkdir()
    with pytest.raises(CampaignError, match="Is a directory"):
        Journal(tmp_path / "j")
