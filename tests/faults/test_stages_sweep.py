"""Whole sweeps in which a stage, its memory or its link goes wrong: rows name device and cause, and all is made good.

They take minutes: ``make test-faults``.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.causing import exhaust_memory, stage_on, strike, unplugged, until
from tests.faults.conftest import MEMORY_MB
from tests.faults.sweeping import assert_nothing_left
from tests.virtual_devices import PROJECT, VirtualTestbed

pytestmark = [pytest.mark.integration, pytest.mark.faults]

SPLITS = "P3,P9,P17"
CELLS = 5  # and the unsplit model on each of the two devices
SILENCE_S = 3.0
SLACK_S = 5.0


class Sweep:
    """A sweep as a user types it, beside which things go wrong."""

    def __init__(self, bed: VirtualTestbed, results: Path, **options: str) -> None:
        given = {
            "model": "mobilenet_v2", "chains": "near", "networks": "quick", "splits": SPLITS, "transports": "tcp",
            "budget": "quick", "window": "1", "batch": "1", "batches": "60", "warmup": "1", "report": "false",
            "silence_s": str(SILENCE_S), **options,
        }  # fmt: skip
        self.bed = bed
        self.results = results
        self.words = [
            sys.executable, "-m", "sweep", "run", f"inventory={bed.inventory}", f"results={results}",
            *(f"{name}={value}" for name, value in given.items()),
        ]  # fmt: skip

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The journal's rows so far; a line that is being written is none."""
        lines = [line for path in self.results.glob("*/journal.jsonl") for line in path.read_bytes().split(b"\n")[:-1]]
        return [json.loads(line) for line in lines]

    def run(self, *faults: tuple[int, Callable[[], None]]) -> str:
        """Run it to its end, with each fault once so many rows are ok; give what it printed."""
        process = subprocess.Popen(self.words, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            for count, cause in faults:
                until(lambda count=count: self._ok() >= count or process.poll() is not None, f"{count} rows")
                assert process.poll() is None, process.communicate()[0]
                until(lambda: stage_on(self.bed, "two") is not None, "a stage on two")
                time.sleep(0.5)  # the next cell measures
                cause()
            said, _ = process.communicate(timeout=400)
        finally:
            process.kill()
            process.communicate()
        assert process.returncode == 0, said
        return said

    def _ok(self) -> int:
        return sum(row["status"] == "ok" for row in self.rows)

    def assert_made_good(self, repeats: int = 1) -> list[dict[str, Any]]:
        """Check that every run is there once, and give the rows of those that lost their device."""
        ok = Counter((row["cell_id"], row["repeat"]) for row in self.rows if row["status"] == "ok")
        assert set(ok.values()) == {1}, "a row is there twice"
        assert len(ok) == CELLS * repeats
        lost = [row for row in self.rows if row["status"] != "ok"]
        assert all(row["lost"] and row["failed_device"] == "two" for row in lost), lost
        return lost


def test_a_stage_that_is_killed_costs_one_row_that_says_so_and_no_run(bed: VirtualTestbed, tmp_path: Path) -> None:
    sweep = Sweep(bed, tmp_path)
    said = sweep.run((1, lambda: strike(bed, "two", signal.SIGKILL)))
    (lost,) = sweep.assert_made_good()
    assert "no connection with two (any more)" in lost["reason"]
    assert lost["reason"].endswith("two: its stage was killed, or crashed")
    assert "two" in said
    assert_nothing_left(bed, tmp_path)


def test_one_thing_after_the_other(bed: VirtualTestbed, tmp_path: Path) -> None:
    """Out of memory, standing still, and gone behind a link that is down: each costs one row, which names its cause."""
    struck: list[float] = []

    def freeze() -> None:
        strike(bed, "two", signal.SIGSTOP)
        struck.append(time.time())

    def vanish() -> None:
        before = len(sweep.rows)
        with unplugged(bed, "two"):
            strike(bed, "two", signal.SIGKILL)
            time.sleep(SILENCE_S + 2)
        until(lambda: len(sweep.rows) > before, "the row of what vanished")

    sweep = Sweep(bed, tmp_path, budget="normal", repeats="3", most_repeats="3")
    sweep.run((1, lambda: exhaust_memory(bed, "two")), (5, freeze), (9, vanish))
    memory, still, gone = sweep.assert_made_good(repeats=3)
    assert f"because the device was out of memory (limit {MEMORY_MB} MiB)" in memory["reason"]
    assert "two gave no sign of life for" in still["reason"]
    assert "stands still: it was stopped by a signal (SIGSTOP)" in still["reason"]
    assert (still["status"], still["silence_s"]) == ("timeout", SILENCE_S)
    assert gone["failed_device"] == "two"
    assert_nothing_left(bed, tmp_path)


@pytest.mark.parametrize(("outage_s", "losses"), [(5.0, 0), (60.0, 1)])
def test_a_link_that_is_down_for_a_while(bed: VirtualTestbed, tmp_path: Path, outage_s: float, losses: int) -> None:
    """By default five seconds are survived and marked; a minute parks the chain, which is gone on with after it."""

    def unplug() -> None:
        with unplugged(bed, "two"):
            time.sleep(outage_s)

    sweep = Sweep(bed, tmp_path, splits="P3,P9,P17", batches="120", silence_s="15", patience_s="120")
    sweep.run((1, unplug))
    lost = sweep.assert_made_good()
    assert len(lost) == losses
    for row in lost:
        assert "two gave no sign of life for 15" in row["reason"]
        assert "the link to it was down" in row["reason"]
    if not losses:
        silent = [row for row in sweep.rows if row["hops"] and row["hops"][0]["silence_ms"] > 3000]
        assert silent, "the outage is in no row"
        assert all("nothing came between one and two for" in " ".join(row["unstable"]) for row in silent)
    assert_nothing_left(bed, tmp_path)
