"""What goes on in the background is nobody's child, and not root's work where another user's folder is meant."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from links.background import start_in_background

_NOBODY = 65534
_WITHIN_S = 20


def said(path: Path) -> list[str]:
    end = time.monotonic() + _WITHIN_S
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < end, "the background process says nothing"
        time.sleep(0.01)
    return path.read_text().split()


def test_it_has_a_session_of_its_own_and_another_parent(tmp_path: Path) -> None:
    report = tmp_path / "report"
    start_in_background(lambda: report.write_text(f"{os.getsid(0)} {os.getppid()}\n"))
    session, parent = map(int, said(report))
    assert session not in {os.getsid(0), 0}
    assert parent != os.getpid()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_becomes_the_owner_of_the_folder_for_good(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    os.chown(own, _NOBODY, _NOBODY)
    report = tmp_path / "report"
    with report.open("w") as file:  # nobody may not reach this folder
        start_in_background(
            lambda: os.write(file.fileno(), f"{os.getresuid()} {os.getresgid()} {os.getgroups()}\n".encode()),
            keep=(file.fileno(),),
            as_owner_of=own,
        )
        found = "".join(said(report))
    assert found == f"({_NOBODY},{_NOBODY},{_NOBODY})" * 2 + "[]"
