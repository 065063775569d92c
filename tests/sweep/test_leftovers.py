"""Resetting what a sweep left running: each process in a folder of its own, of which nothing stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweep.leftovers import Leftovers
from sweep.plays import PlayResult


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("sweep.leftovers.WORK", tmp_path)
    return tmp_path


def test_a_reset_leaves_another_processs_folder_alone_and_removes_its_own(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = work / f"reset-{os.getppid()}"
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    killed = work / f"reset-{process.pid}"
    for folder in (other, killed):
        folder.mkdir()
    used: list[Path] = []

    def run_play(_playbook: str, **given: Any) -> PlayResult:
        used.append(given["work"])
        used[0].mkdir()
        assert not killed.exists(), "what a killed process left may hold the environment"
        return PlayResult(status="successful", log=Path("log"), failed={}, unreachable={})

    monkeypatch.setattr("sweep.leftovers.run_play", run_play)
    left = Leftovers("hosts.yml", {})
    left.begun(["one"])
    assert left.clear(owner="me", say=lambda _text: None, leaving=lambda: False) == {}
    assert used == [work / f"reset-{os.getpid()}"]
    assert list(work.iterdir()) == [other]
