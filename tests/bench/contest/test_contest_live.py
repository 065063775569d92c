"""The command on two real virtual devices: one model, one link, one cut, once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.contest.baseline import read_baseline
from bench.contest.sides import SIDES, side_of
from bench.testbed import PROJECT
from sweep.journal import read_rows

pytestmark = [pytest.mark.integration, pytest.mark.bench]

_LIMIT_S = 900
WORDS = ["--models", "mobilenet_v2", "--networks", "lan", "--splits", "mobilenet_v2:5", "--batch", "2"]
SHORT = ["--repeats", "1", "--cell-s", "0.5"]


def test_every_side_is_measured_and_the_devices_are_gone_afterwards(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", *WORDS, *SHORT, "--results", str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=_LIMIT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = tmp_path.iterdir()
    rows = list(read_rows(folder / "journal.jsonl"))
    sides = {side_of(row.split, row.devices, row.transport, row.engine, row.codec) for row in rows}
    assert sides == set(SIDES)
    assert {row.status for row in rows} == {"ok"}
    baseline = read_baseline(folder)
    assert {(one.one_in_flight, one.status, one.reason) for one in baseline} == {(True, "ok", ""), (False, "ok", "")}
    # the tensor that crosses at P5, and its pickle's frame around it
    assert all(2 * 32 * 28 * 28 * 4 < one.bytes < 2 * 32 * 28 * 28 * 4 + 2000 for one in baseline)
    for one in baseline:
        if one.response_ms is not None:
            parts = (one.first_compute_ms, one.pickle_ms, one.unpickle_ms, one.second_compute_ms)
            # medians do not add up exactly
            assert one.response_ms > 0.8 * sum(part for part in parts if part is not None)
    assert "against the pickle transport" in (folder / "bench.md").read_text()
    there = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)  # noqa: S607 - iproute2's
    assert "sbG" not in there.stdout
