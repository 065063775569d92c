"""Whole sweeps on real virtual devices, typed as a user types them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from analysis.samples import read_samples
from stage_runtime.formats.row import Row
from sweep.journal import read_rows
from sweep.options import parse_options
from sweep.settling import Settling
from tests.virtual_devices import PROJECT, VirtualTestbed

pytestmark = pytest.mark.integration

# The budget is one run of each cell, and the transport one, where a test does not ask for more.
QUICK = {
    "budget": "quick", "transports": "tcp", "batch": "1", "batches": "5", "warmup": "1", "splits": "P3,P17",
    "report": "false", "patience_s": "0",
}  # fmt: skip
FIRST_ROWS_WITHIN_S = 240


def command(bed: VirtualTestbed, results: Path, **options: str) -> list[str]:
    words = {"model": "mobilenet_v2", "chains": "near", "networks": "quick", **QUICK, **options}
    return [
        sys.executable, "-m", "sweep", "run", f"inventory={bed.inventory}", f"results={results}",
        *(f"{name}={value}" for name, value in words.items()),
    ]  # fmt: skip


def run(bed: VirtualTestbed, results: Path, **options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(bed, results, **options), cwd=PROJECT, capture_output=True, text=True, check=False, timeout=400
    )


def swept(bed: VirtualTestbed, results: Path, **options: str) -> None:
    """Run a sweep that must measure everything; what it printed says why where it did not."""
    done = run(bed, results, **options)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def rows_of(results: Path) -> list[dict[str, Any]]:
    journals = list(results.glob("*/journal.jsonl"))
    assert len(journals) == 1, journals
    return [json.loads(line) for line in journals[0].read_text().splitlines()]


def test_sweep_measures_every_split_and_the_unsplit_references(bed: VirtualTestbed, results: Path) -> None:
    swept(bed, results, networks="quick,slow", report="true")
    rows = rows_of(results)
    assert {row["status"] for row in rows} == {"ok"}
    splits = {"P3", "P17", "only:one", "only:two"}
    expected = {(split, window, network) for split in splits for window in (1, 4) for network in ("quick", "slow")}
    assert {(row["split"], row["window"], row["network"]) for row in rows} == expected
    assert len(rows) == len(expected)
    folder = next(results.glob("*/journal.jsonl")).parent
    for report in ("report.html",):
        assert list(folder.rglob(report)), sorted(folder.rglob("*"))
    provenance = json.loads((folder / "provenance" / "near@slow.json").read_text())
    assert set(provenance["devices"]) == {"one", "two"}
    assert provenance["devices"]["one"]["packages"]["torch"]
    assert json.loads((folder / "campaign.json").read_text())["options"]["seed"] == 0


def test_rows_say_what_the_link_did(bed: VirtualTestbed, results: Path) -> None:
    swept(bed, results, networks="slow", splits="P3", window="1")
    row = next(row for row in rows_of(results) if row["split"] == "P3")
    assert {(link["source"], link["target"]) for link in row["link"]} == {("one", "two"), ("two", "one")}
    for link in row["link"]:
        assert link["asked"]["rate_mbit"] == link["in_force"]["rate_mbit"] == 50
        assert link["rtt_ms"] == pytest.approx(10, abs=1.5)
    # 24 x 56 x 56 floats over 50 Mbit/s cannot take less than 48 ms, nor anything like twice that
    hop = row["hops"][0]
    assert hop["bytes"] >= 24 * 56 * 56 * 4
    assert 48 <= hop["transfer_ms"] < 96
    assert row["latency_ms"] > hop["transfer_ms"] + sum(stage["compute_ms"] for stage in row["stages"]) * 0.8
    assert row["response_ms"] > row["latency_ms"]


def test_three_devices_a_batch_and_both_transports(bed: VirtualTestbed, results: Path) -> None:
    swept(bed, results, chains="long", model="resnet18", splits="P2+P6", window="3", batch="2", transports="tcp,rpc")
    rows = rows_of(results)
    splits = {"P2+P6", "only:one", "only:two", "only:three"}
    assert Counter((row["split"], row["window"], row["transport"]) for row in rows) == {
        (split, 3, transport): 1 for split in splits for transport in ("tcp", "rpc")
    }
    for transport in ("tcp", "rpc"):
        mine = [row for row in rows if row["transport"] == transport]
        split = next(row for row in mine if row["split"] == "P2+P6")
        assert [(stage["device"], stage["first"], stage["last"]) for stage in split["stages"]] == [
            ("one", 0, 2), ("two", 2, 6), ("three", 6, 9),
        ]  # fmt: skip
        # 64 x 56 x 56 and 256 x 14 x 14 floats of two images, and a frame's header
        assert [hop["bytes"] // 1000 for hop in split["hops"]] == [1605, 401]
        assert all(hop["transfer_ms"] > hop["bytes"] * 8 / 200e3 for hop in split["hops"]), "it crossed the link"
        far = next(row for row in mine if row["split"] == "only:three")
        assert [hop["target"] for hop in far["hops"]] == ["three"]


def test_same_command_again_measures_nothing_twice(bed: VirtualTestbed, results: Path) -> None:
    swept(bed, results, splits="P3", window="1")
    before = rows_of(results)
    swept(bed, results, splits="P3", window="1")
    assert rows_of(results) == before
    swept(bed, results, splits="P3", window="1", repeats="2")
    assert rows_of(results)[: len(before)] == before
    assert len(rows_of(results)) == 2 * len(before)


def kill_after_rows(words: list[str], results: Path, rows: int) -> None:
    """Start the command, wait until so many rows are on the disk, and kill it as a power cut would."""
    process = subprocess.Popen(words, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        limit = time.monotonic() + FIRST_ROWS_WITHIN_S
        while time.monotonic() < limit:
            journals = list(results.glob("*/journal.jsonl"))
            if journals and journals[0].read_bytes().count(b"\n") >= rows:
                break
            assert process.poll() is None, "the sweep ended before it could be killed"
            time.sleep(0.05)
        else:
            pytest.fail("no rows came")
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


def assert_no_play_left(bed: VirtualTestbed) -> None:
    """Wait until the plays of a killed driver have ended with it."""
    limit = time.monotonic() + FIRST_ROWS_WITHIN_S
    while left := plays_on(bed):
        assert time.monotonic() < limit, f"still running: {left}"
        time.sleep(0.2)


def plays_on(bed: VirtualTestbed) -> list[str]:
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if "ansible-playbook" in line and str(bed.inventory) in line]


def test_killed_driver_loses_and_repeats_nothing_and_goes_on_until_cells_are_settled(
    bed: VirtualTestbed, results: Path
) -> None:
    rule = {"repeats": "2", "most_repeats": "4", "target_percent": "10"}
    words = command(bed, results, splits="P3,P9", window="1", batches="6", **rule)
    kill_after_rows(words, results, rows=6)
    assert_no_play_left(bed)
    resumed = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=400)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    (journal,) = results.glob("*/journal.jsonl")
    rows = list(read_rows(journal))
    settling = Settling(parse_options({"model": "mobilenet_v2", **rule}), rows)
    repeats: dict[str, list[int]] = {}
    for row in rows:
        repeats.setdefault(row.cell_id, []).append(row.repeat)
    assert len(repeats) == 4
    for cell_id, found in repeats.items():
        assert found == list(range(len(found))), "each repeat once, block by block"
        assert settling.left(cell_id).most == 0
        before = Settling(parse_options({"model": "mobilenet_v2", **rule}), [r for r in rows if r.repeat < found[-1]])
        assert before.wants(cell_id, found[-1]), "no repeat of a settled cell"
    assert_samples_of_every_run(journal.parent, rows)


def assert_samples_of_every_run(folder: Path, rows: list[Row]) -> None:
    assert {path.suffix for path in (folder / "samples").iterdir()} == {".parquet"}
    found = read_samples(folder)
    stages = found.drop_duplicates(["cell_id", "repeat", "stage"]).groupby(["cell_id", "repeat"])["stage"].count()
    assert stages.to_dict() == {(row.cell_id, row.repeat): len(row.stages) for row in rows}
    first = found[(found["stage"] == 0) & ~found["warmup"]]
    for row in rows:
        run = first[(first["cell_id"] == row.cell_id) & (first["repeat"] == row.repeat)]
        responses = (run["back_ns"] - run["received_ns"]) / 1e6
        assert len(run) == row.batches
        assert responses.median() == pytest.approx(row.response_ms), "any statistic can be recomputed"


def test_unreachable_device_parks_its_chain_only(bed: VirtualTestbed, results: Path) -> None:
    done = run(bed, results, chains="near,broken", splits="P3", window="1")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "absent: unreachable" in done.stdout
    rows = rows_of(results)
    assert {(row["chain"], row["status"]) for row in rows} == {("near", "ok")}
    assert {row["split"] for row in rows} == {"P3", "only:one", "only:two"}


@contextlib.contextmanager
def squatting(device: str, address: str, port: int) -> Iterator[None]:
    """Take a port on a device."""
    code = (
        "import socket, sys, time; s = socket.create_server((sys.argv[1], int(sys.argv[2]))); "
        "print(flush=True); time.sleep(300)"
    )
    words = ["/usr/sbin/ip", "netns", "exec", f"sbE-{device}", sys.executable, "-c", code, address, str(port)]
    squatter = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert squatter.stdout is not None
    try:
        assert squatter.stdout.readline(), "the port is taken already"
        yield
    finally:
        squatter.kill()
        squatter.communicate()


@pytest.mark.faults
def test_port_in_use_is_named_and_the_worlds_costs_its_cells_alone(bed: VirtualTestbed, results: Path) -> None:
    bed.play("playbooks/reset.yml", "--limit", "one,two,three")
    given = {"splits": "P3", "window": "1", "transports": "tcp,rpc"}
    with squatting("one", "10.218.1.11", 47302):
        with squatting("two", "10.218.1.12", 47300):
            done = run(bed, results, **given)
        assert done.returncode == 3, done.stdout + done.stderr
        assert "two" in done.stdout
        assert "47300" in done.stdout
        done = run(bed, results, **given)
    assert done.returncode == 1, done.stdout + done.stderr
    rows = rows_of(results)
    assert Counter((row["transport"], row["status"]) for row in rows) == {
        ("tcp", "ok"): 3, ("rpc", "ok"): 1, ("rpc", "failed"): 2,
    }  # fmt: skip
    for row in rows:
        if row["transport"] == "rpc" and row["split"] != "only:one":
            assert row["failed_device"] == "one"
            assert "the RPC world is not up: one: cannot listen on 10.218.1.11:47302" in row["reason"]


@pytest.mark.parametrize(
    ("option", "value", "accepted"),
    [
        ("model", "vgg17", "vgg16"),
        ("splits", "P19", "P18"),
        ("networks", "quik", "quick"),
        ("chains", "pis", "near"),
        ("batchs", "4", "batches"),
        ("window", "0", "from 1"),
        ("budget", "papr", "paper"),
        ("weights", "./nowhere.pth", "safetensors"),
    ],
)
def test_typos_touch_nothing(bed: VirtualTestbed, results: Path, option: str, value: str, accepted: str) -> None:
    done = run(bed, results, **{option: value})
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert value in done.stderr or option in done.stderr
    assert accepted in done.stderr
    assert not results.exists()


def test_dry_run_touches_nothing(bed: VirtualTestbed, results: Path) -> None:
    done = run(bed, results, dry_run="true", networks="quick,slow")
    assert done.returncode == 0, done.stderr
    assert "16 cells, 16 runs to do" in done.stdout
    assert "estimated time" in done.stdout
    assert not results.exists()


def test_shards_on_the_device_are_one_copy_of_the_model(bed: VirtualTestbed, results: Path) -> None:
    swept(bed, results, splits="P3,P17", window="1")
    blocks = bed.root / "two" / "splitbed" / "shards"
    manifest = next(
        m for path in blocks.glob("*/manifest.json") if (m := json.loads(path.read_text()))["model"] == "mobilenet_v2"
    )
    parameters = sum(block["parameter_bytes"] for block in manifest["blocks"])
    files = sum((blocks / "blocks" / f"{block['sha256']}.safetensors").stat().st_size for block in manifest["blocks"])
    assert files < 1.02 * parameters
