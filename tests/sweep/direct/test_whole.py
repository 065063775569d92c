"""A whole sweep over two processes of this machine: killed in the middle, gone on with, complete."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from analysis.samples import read_samples
from stage_runtime.formats.row import Row
from sweep.direct.field import RUN
from sweep.journal import read_rows
from sweep.places import CHECKOUT
from tests.stage_runtime.stage.processes import free_port

NAMES = ("sbG1", "sbG2")
_LIMIT_S = 300.0


class Killed(NamedTuple):
    """What a sweep that was killed and gone on with came to."""

    folder: Path
    rows_when_killed: int
    outlived: list[int]
    status: int
    said: str


def command(results: Path, port: int) -> list[str]:
    """Two cuts and two references of MobileNetV2 by both transports, a few batches each."""
    words = ["model=mobilenet_v2", "devices=sbG1:cpu:0.5,sbG2:cpu:1", "splits=P3,P9", "budget=quick"]
    words += ["batches=4", "warmup=1", "window=1", f"results={results}", f"port={port}"]
    return [sys.executable, "-m", "sweep", "direct", *words]


def stages() -> list[int]:
    """Give the stage processes of this test's devices."""
    mine = {str(RUN / name / "stage.json") for name in NAMES}
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if mine & arguments(path)]


def arguments(path: Path) -> set[str]:
    try:
        return set(path.read_text().split("\0"))
    except OSError:  # it ended meanwhile
        return set()


def wait_for_a_row(process: subprocess.Popen[bytes], results: Path) -> int:
    """Wait until there is a row, and give how many there are."""
    deadline = time.monotonic() + _LIMIT_S
    while not rows_in(results) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return len(rows_in(results))


def rows_in(results: Path) -> list[Row]:
    return [row for path in results.glob("*/journal.jsonl") for row in read_rows(path)]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killed]:
    results = tmp_path_factory.mktemp("results")
    words = command(results, free_port("127.0.0.1"))
    with subprocess.Popen(words, cwd=CHECKOUT, stdout=subprocess.DEVNULL) as process:
        rows = wait_for_a_row(process, results)
        process.kill()
    deadline = time.monotonic() + 10
    while stages() and time.monotonic() < deadline:
        time.sleep(0.05)
    outlived = stages()
    for pid in outlived:
        os.kill(pid, 9)
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=_LIMIT_S)
    (folder,) = results.iterdir()
    yield Killed(folder, rows, outlived, done.returncode, done.stdout + done.stderr)
    assert stages() == [], "no stage is left"


def test_no_stage_outlives_a_driver_that_is_killed(killed: Killed) -> None:
    assert killed.rows_when_killed > 0
    assert killed.outlived == []


def test_the_same_command_runs_the_rest(killed: Killed) -> None:
    assert killed.status == 0, killed.said
    assert f"{killed.rows_when_killed} runs already in the journal" in killed.said
    rows = list(read_rows(killed.folder / "journal.jsonl"))
    assert Counter((row.split, row.transport) for row in rows) == {
        (split, transport): 1 for split in ("P3", "P9", "only:sbG1", "only:sbG2") for transport in ("tcp", "rpc")
    }
    assert {row.status for row in rows} == {"ok"}


def test_rows_say_what_was_measured_on(killed: Killed) -> None:
    for row in read_rows(killed.folder / "journal.jsonl"):
        assert (row.chain, row.network) == ("sbG_to_sbG", "loopback")
        assert [(link.source, link.target, link.backend) for link in row.link] == [
            ("sbG1", "sbG2", "none"),
            ("sbG2", "sbG1", "none"),
        ]
        assert all(link.rtt_ms is not None and link.bulk_mbit is not None for link in row.link)
        assert {stage.accelerator for stage in row.stages} == {"cpu"}
        assert {stage.threads for stage in row.stages} == {1}
        assert row.latency_ms is not None
        assert row.throughput_ips is not None


def test_every_runs_samples_are_kept(killed: Killed) -> None:
    samples = read_samples(killed.folder)
    rows = list(read_rows(killed.folder / "journal.jsonl"))
    assert set(samples["cell_id"]) == {row.cell_id for row in rows}


def test_the_campaign_says_how_devices_were_held(killed: Killed) -> None:
    (path,) = (killed.folder / "provenance").iterdir()
    devices = json.loads(path.read_text())["devices"]
    assert {name: found["confinement"]["asked"] for name, found in devices.items()} == {"sbG1": 0.5, "sbG2": 1.0}
    assert {found["stage"]["accelerator"] for found in devices.values()} == {"cpu"}


def test_no_control_group_is_left(killed: Killed) -> None:
    assert killed.status == 0
    assert [path for path in Path("/sys/fs/cgroup").glob("**/splitbed.direct/sbG*") if path.is_dir()] == []
