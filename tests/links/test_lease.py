from __future__ import annotations

import os
from pathlib import Path

import pytest

from links.guard import guard
from links.lease import Lease, Watch, read_lease, remaining_s, write_lease


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


class Clocks:
    """A lease file of 60 s, a wall clock that may be set, and one that may not."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "link.lease"
        self.file.touch()
        self.wall, self.steady = 1_000_000.0, 500.0
        self.watch = Watch(lambda: self.steady)
        self.renew()

    def renew(self) -> None:
        os.utime(self.file, (self.wall, self.wall))

    def after(self, seconds: float) -> bool:
        self.wall += seconds
        self.steady += seconds
        return self.watch.ran_out(60, 0, (self.file,), now=self.wall)


def test_watched_lease_runs_out_when_nobody_renews_it(tmp_path: Path) -> None:
    clocks = Clocks(tmp_path)
    assert not clocks.after(0)
    assert not clocks.after(59)
    clocks.renew()
    assert not clocks.after(0.5)
    assert not clocks.after(59)
    assert clocks.after(2)


def test_clock_that_is_set_forward_ends_no_lease_that_is_renewed(tmp_path: Path) -> None:
    clocks = Clocks(tmp_path)
    assert not clocks.after(5)
    clocks.wall += 86_400
    assert not clocks.after(5)
    clocks.renew()
    assert not clocks.after(0.5)
    assert not clocks.after(59)
    assert clocks.after(2), "and one that nobody renews ends as it would have"


def test_clock_that_is_set_back_keeps_a_lease_for_a_minute_longer_at_most(tmp_path: Path) -> None:
    clocks = Clocks(tmp_path)
    assert not clocks.after(5)
    clocks.wall -= 86_400
    assert not clocks.after(100)
    assert clocks.after(20)


def test_clock_that_is_set_back_ends_no_lease_that_is_renewed(tmp_path: Path) -> None:
    clocks = Clocks(tmp_path)
    clocks.wall -= 86_400
    for _ in range(10):
        clocks.renew()
        assert not clocks.after(30)


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
