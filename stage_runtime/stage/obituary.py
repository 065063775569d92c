"""``python -m stage_runtime.stage.obituary [--end] RUN_FOLDER``: say what became of this device's stage.

Asked when a cell lost the device.  The neighbours know only that its connections are gone, or silent; the
device itself knows whether its stage was killed for lack of memory, stands still, or runs behind a link that is down.
The answer is one line of JSON.  With ``--end`` a stage that stands still is ended: it would answer nobody who asks it
to stop, and keep its port and its memory.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import NamedTuple

from stage_runtime.stage.life import read_life
from stage_runtime.telemetry.groups import read_line
from stage_runtime.telemetry.limits import read_limits
from stage_runtime.telemetry.memory_kills import memory_kills

_STATES = {
    "T": "stands still: it was stopped by a signal (SIGSTOP)",
    "t": "stands still: a debugger holds it",
    "D": "hangs in the kernel (state D); is a disk or a network file system gone?",
}
_STILL = frozenset("Tt")
_LAST_WORDS = 300


class Process(NamedTuple):
    """A process that runs a stage, and its state by the letters of proc(5)."""

    pid: int
    state: str


def main(arguments: list[str] | None = None) -> int:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(prog="stage_runtime.stage.obituary", description="Say what became of the stage.")
    parser.add_argument("folder", type=Path, help="the folder of its control socket")
    parser.add_argument("--end", action="store_true", help="end it where it stands still")
    options = parser.parse_args(arguments)
    said = cause(options.folder)
    process = find_stage(options.folder / "stage.json")
    if options.end and process is not None and process.state in _STILL:
        with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
            os.kill(process.pid, signal.SIGKILL)
    sys.stdout.write(json.dumps({"cause": said}) + "\n")
    return 0


def cause(folder: Path, proc: Path = Path("/proc")) -> str:
    """Say in words what became of the stage whose run folder this is."""
    process = find_stage(folder / "stage.json", proc)
    if process is not None and process.state in _STATES:
        return f"its stage (process {process.pid}) {_STATES[process.state]}"
    if process is not None:
        return f"its stage (process {process.pid}) runs, so the link to it was down or it was too busy to answer"
    life = read_life(folder)
    if life is None:
        return "no stage has been running there"
    if life.ended is not None:
        return f"its stage ended: {life.ended}"
    if memory_kills(proc) > life.memory_kills:
        limit = read_limits(proc).memory_bytes
        allowed = f" (limit {limit / 2**20:.0f} MiB)" if limit is not None else ""
        return f"its stage was killed by the kernel because the device was out of memory{allowed}"
    said = _last_words(folder / "stage.out")
    return f"its stage was killed, or crashed{f'; it said: {said}' if said else ''}"


def find_stage(config: Path, proc: Path = Path("/proc")) -> Process | None:
    """Find the process that runs a configuration."""
    mine = {"stage_runtime.stage", str(config)}
    for entry in (entry for entry in proc.iterdir() if entry.name.isdigit()):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it ended meanwhile
        if mine.issubset(words):
            # the name, which comes before the state, may hold anything, brackets too
            return Process(int(entry.name), (read_line(entry / "stat").rpartition(")")[2].split() or ["?"])[0])
    return None


def _last_words(output: Path) -> str:
    try:
        return " ".join(output.read_bytes()[-_LAST_WORDS:].decode(errors="replace").split())
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
