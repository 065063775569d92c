from __future__ import annotations

import os
from pathlib import Path

import pytest

from links.guard import guard
from links.lease import Lease, read_lease, remaining_s, write_lease


def test_lease_survives_its_file(tmp_path: Path) -> None:
    lease = Lease(owner="campaign", ttl_s=60.0)
    write_lease(tmp_path / "run" / "link.lease", lease)
    assert read_lease(tmp_path / "run" / "link.lease") == lease
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["link.lease"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"owner": 5, "ttl_s": 1}', b'{"owner": "a"}'])
def test_file_that_is_no_lease_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "link.lease"
    path.write_bytes(content)
    assert read_lease(path) is None
    assert read_lease(tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("granted", "touched", "left"),
    [
        (1000, [], 60 - 100),
        (1000, [1090], 60 - 10),
        (1090, [1000], 60 - 10),
        (0, [1000, 1095, None], 60 - 5),
        (0, [5000], 60),
    ],
)
def test_newest_sign_of_life_counts(tmp_path: Path, granted: float, touched: list[float | None], left: float) -> None:
    files = []
    for index, when in enumerate(touched):
        files.append(tmp_path / str(index))
        if when is not None:
            files[-1].touch()
            os.utime(files[-1], (when, when))
    assert remaining_s(60, granted, files, now=1100) == left


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to somebody else, which takes root")
def test_lease_belongs_to_the_folders_owner(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    write_lease(tmp_path / "link.lease", Lease(owner="campaign", ttl_s=1.0))
    assert (tmp_path / "link.lease").stat().st_uid == 12345


def test_guard_goes_on_until_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("links.guard._POLL_S", 0.0)
    answers = [True, True, False]
    guard(tmp_path, lambda _: answers.pop(0))
    assert answers == []


def test_second_guard_leaves_the_first_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("links.guard._POLL_S", 0.0)
    monkeypatch.setattr("links.guard._TAKE_OVER_S", 0.0)
    calls = []

    def expire(run_dir: Path) -> bool:
        calls.append("first")
        guard(run_dir, lambda _: bool(calls.append("second")))
        return False

    guard(tmp_path, expire)
    assert calls == ["first"]
