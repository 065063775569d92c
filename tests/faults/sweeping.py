"""A sweep as a user runs it, watched and disturbed while it goes on, and what it leaves."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from roles.virtual_device.module_utils.splitbed_virtual.machine import ask
from tests.faults.causing import stage_on, until
from tests.virtual_devices import ANSIBLE, PROJECT, VirtualTestbed

GIVEN = {
    "model": "mobilenet_v2", "networks": "quick", "splits": "P3,P17", "window": "1", "budget": "quick",
    "transports": "tcp", "batches": "5", "warmup": "1", "report": "false",
}  # fmt: skip
END_WITHIN_S = 240.0


class Sweep:
    """A sweep that runs; its output and its journal as they are up to now."""

    def __init__(self, words: list[str], results: Path, output: Path) -> None:
        self.results = results
        self._output = output
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                words, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                env={**os.environ, "ANSIBLE_NOCOLOR": "1", "COLUMNS": "400"}, start_new_session=True,
            )  # fmt: skip

    @property
    def said(self) -> str:
        """What it printed."""
        return self._output.read_text(errors="replace")

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The whole rows of its journal."""
        return rows_of(self.results)

    def until_said(self, text: str) -> None:
        """Wait until it prints something; fail where it ends before."""
        self._until(lambda: text in self.said, text)

    def until_rows(self, count: int) -> None:
        """Wait until its journal has so many rows; fail where it ends before."""
        self._until(lambda: len(self.rows) >= count, f"{count} rows")

    def until_row_of(self, chain: str) -> None:
        """Wait until its journal has a row of a chain; fail where it ends before."""
        self._until(lambda: any(row["chain"] == chain for row in self.rows), f"a row of {chain}")

    def _until(self, reached: Callable[[], bool], what: str) -> None:
        """Wait for something of it, on a machine that may be busy with other things."""
        end = time.monotonic() + END_WITHIN_S
        while not reached():
            assert self.process.poll() is None or reached(), f"it ended before {what}: {self.said}"
            assert time.monotonic() < end, f"in vain: {what}: {self.said}"
            time.sleep(0.05)

    def interrupt(self) -> None:
        """Send what Ctrl-C sends: SIGINT to the whole foreground process group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """Kill the control node's command as a power cut would."""
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """Wait for its end and give its exit status."""
        try:
            return self.process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end: {self.said}") from None


@contextlib.contextmanager
def sweeping(bed: VirtualTestbed, results: Path, *, playbook: bool = False, **options: str) -> Iterator[Sweep]:
    """Start a sweep, by its own command or as a playbook; it is killed where the block leaves it running."""
    given = {**GIVEN, **options, "results": str(results)}
    if playbook:
        told = [word for pair in given.items() for word in ("-e", "=".join(pair))]
        words = [str(ANSIBLE / "ansible-playbook"), "-i", str(bed.inventory), "sweep.yml", *told]
    else:
        told = [f"{name}={value}" for name, value in given.items()]
        words = [sys.executable, "-m", "sweep", "run", f"inventory={bed.inventory}", *told]
    results.parent.mkdir(parents=True, exist_ok=True)
    sweep = Sweep(words, results, results.parent / f"{results.name}-{time.monotonic_ns()}.txt")
    try:
        yield sweep
    finally:
        if sweep.process.poll() is None:
            sweep.kill()


def rows_of(results: Path) -> list[dict[str, Any]]:
    """Give the whole rows of the one campaign in a folder, in the journal's order; none before there is one."""
    journals = list(results.glob("*/journal.jsonl"))
    assert len(journals) <= 1, journals
    lines = journals[0].read_bytes().split(b"\n")[:-1] if journals else []
    return [json.loads(line) for line in lines]


def assert_whole(results: Path, cells: int) -> list[dict[str, Any]]:
    """See that every cell is in the journal as ok once, and give the rows that are not ok."""
    rows = rows_of(results)
    counts = Counter((row["cell_id"], row["repeat"]) for row in rows if row["status"] == "ok")
    assert len(counts) == cells, [(row["split"], row["status"], row["reason"]) for row in rows]
    assert set(counts.values()) == {1}, "no run is in the journal twice"
    return [row for row in rows if row["status"] != "ok"]


def assert_nothing_left(bed: VirtualTestbed, results: Path) -> None:
    """See that no stage, play, shaping, secret or temporary file of a sweep is left."""
    assert {name: stage_on(bed, name) for name in bed.names} == dict.fromkeys(bed.names)
    until(lambda: not plays_on(bed), f"plays still run: {plays_on(bed)}")
    assert shaped_links(bed) == [], "links are still shaped"
    for folder in results.glob("*"):
        kept = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        odd = {name for name in kept if not name.endswith((".jsonl", ".json", ".parquet", ".log", ".lock"))}
        assert odd == set(), "temporary files, or the secret, are left with the campaign"
        assert not {name for name in kept if name.startswith((".plays/", "samples/")) and name.endswith(".json")}
        assert list(folder.rglob("artifacts")) == []
    for name in bed.names:
        _assert_nothing_left_on(bed, name)


def _assert_nothing_left_on(bed: VirtualTestbed, device: str) -> None:
    """See that neither a temporary file of a sweep nor what its stage was let in by is left on a device."""
    home = bed.root / device
    left = [*home.glob(".ansible/tmp/*"), *home.glob("splitbed/tmp/*"), *home.rglob("*.part")]
    assert left == [], "temporary files are left on a device"
    names = {path.name for path in home.glob("splitbed/run/*")}
    private = {name for name in names if "secret" in name or "key.pem" in name or name.endswith(".sock")}
    assert private == set(), "the secret, the key or the socket of a stage is left on a device"
    assert list((PROJECT / ".splitbed" / "cache" / "bundles").glob(f"{device}@{bed.data_address(device)}*")) == []


def shaped_links(bed: VirtualTestbed) -> list[Any]:
    """Give what shapes the links of a testbed's devices: the emulator's links, or where there is none, tc's qdiscs."""
    emulator = Path("/run") / bed.prefix / "emulator.sock"
    if emulator.exists():
        return list(ask(emulator, {"command": "show"})["links"])
    return [qdisc for name in bed.names for qdisc in _qdiscs_on(bed, name) if qdisc["kind"] != "noqueue"]


def _qdiscs_on(bed: VirtualTestbed, device: str) -> list[dict[str, Any]]:
    words = ["/usr/sbin/tc", "-n", f"{bed.prefix}-{device}", "-j", "qdisc", "show", "dev", "data0"]
    qdiscs: list[dict[str, Any]] = json.loads(subprocess.run(words, capture_output=True, check=True, timeout=30).stdout)
    return qdiscs


def plays_on(bed: VirtualTestbed) -> list[str]:
    """Give the command lines of plays that run on a testbed's inventory."""
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if "ansible-playbook" in line and str(bed.inventory) in line]
