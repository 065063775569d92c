"""Becoming another command: confined, and gone with whoever started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import sweep.direct.launch
from sweep.direct.launch import EXIT_REFUSED

LAUNCH = [sys.executable, "-I", "-S", str(Path(sweep.direct.launch.__file__))]
_LONG_S = 30.0


def test_the_command_has_the_cores_and_the_group(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    say = "import json, os; print(json.dumps([os.getpid(), sorted(os.sched_getaffinity(0))]))"
    confined = ["--parent", str(os.getpid()), "--cores", str(core), "--group", str(tmp_path)]
    done = subprocess.run(
        [*LAUNCH, *confined, "--", sys.executable, "-c", say],
        capture_output=True,
        text=True,
        check=True,
    )
    pid, cores = json.loads(done.stdout)
    assert cores == [core]
    assert (tmp_path / "cgroup.procs").read_text() == str(pid)


def test_it_does_not_start_for_somebody_who_is_gone() -> None:
    done = subprocess.run([*LAUNCH, "--parent", "1", "--", "true"], capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_REFUSED
    assert "process 1, which started this, is gone" in done.stderr


def test_a_command_that_is_not_there_is_said() -> None:
    parent = str(os.getpid())
    done = subprocess.run(
        [*LAUNCH, "--parent", parent, "--", "/nowhere/x"], capture_output=True, text=True, check=False
    )
    assert done.returncode == EXIT_REFUSED
    assert "No such file" in done.stderr


def test_the_command_ends_with_whoever_started_it() -> None:
    start = (
        "import os, subprocess, sys, time\n"
        "words = [*sys.argv[1:], '--parent', str(os.getpid()), '--', 'sleep', '60']\n"
        "child = subprocess.Popen(words, start_new_session=True)\n"
        "while b'sleep' not in open(f'/proc/{child.pid}/cmdline', 'rb').read()[:6]: time.sleep(0.01)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", start, *LAUNCH], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + _LONG_S
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    if _runs(child):
        os.kill(child, signal.SIGKILL)
        raise AssertionError("the command outlived who started it")


def _runs(pid: int) -> bool:
    """Tell whether a process lives; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
