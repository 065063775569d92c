"""Faults around the stages: disks, shards, runtimes, clocks, logins, and the control node itself.

Each test is a row of docs/faults.md, or several.  What takes longer than a minute's share is marked ``faults``.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.faults.causing import stage_on, until
from tests.faults.sweeping import assert_nothing_left, assert_whole, plays_on, rows_of, shaped_links, sweeping
from tests.faults.upsetting import Disk, refusing_ssh, slow_clock, small_disk, small_results
from tests.virtual_devices import VirtualTestbed, virtual_testbed

pytestmark = pytest.mark.integration

NEAR, ALONE = 4, 1  # cells of each chain with GIVEN's two splits
STOP_NOW_WITHIN_S = 30.0


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualTestbed]:
    """Bring up three devices, and a chain of one of them alone beside two of two."""
    own = {"virtual_memory_mb": 1536, "virtual_cpus": 1}
    chains = {"near": ["one", "two"], "far": ["two", "three"], "alone": ["two"]}
    with virtual_testbed(
        tmp_path_factory.mktemp("control"),
        prefix="sbBf",
        networks="10.214",
        third=2,
        devices={
            "one": own | {"virtual_cores": "0"},
            "two": own | {"virtual_cores": "1"},
            "three": own | {"virtual_cores": "0"},
        },
        variables={
            "chains": chains,
            "default_chains": ["near"],
            "networks": {"quick": {"rate_mbit": 200, "delay_ms": 0.2}, "slow": {"rate_mbit": 50, "delay_ms": 5}},
        },
    ) as testbed:
        yield testbed


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


def manifest_of(bed: VirtualTestbed, device: str) -> dict[str, Any]:
    found = (bed.root / device / "splitbed" / "shards").glob("*/manifest.json")
    manifest: dict[str, Any] = next(m for path in found if (m := json.loads(path.read_text()))["blocks"])
    return manifest


def block_file(bed: VirtualTestbed, device: str, index: int) -> Path:
    digest = manifest_of(bed, device)["blocks"][index]["sha256"]
    return bed.root / device / "splitbed" / "shards" / "blocks" / f"{digest}.safetensors"


@pytest.mark.faults
def test_full_disks_and_a_killed_driver_before_anything_is_measured(bed: VirtualTestbed, results: Path) -> None:
    """Disk full at provisioning and while shards are copied; the driver killed in both."""
    chains = {"chains": "near,far,alone", "splits": "P3", "patience_s": "120"}
    for phase in ("provisioning: ", "distributing shards: "):
        with sweeping(bed, results, **chains) as sweep:
            sweep.until_said(phase)
            time.sleep(1.0)
            sweep.kill()
        until(lambda: not plays_on(bed), "the plays end with their driver")
    assert rows_of(results) == []
    with small_disk(bed, "one", 64) as first, small_disk(bed, "three", 64) as third:
        first.fill(leave_kb=100)
        third.fill(leave_kb=18000)  # enough for the runtime, too little for the shards
        with sweeping(bed, results, **chains) as sweep:
            sweep.until_rows(ALONE)
            assert {row["chain"] for row in sweep.rows} == {"alone"}, "what can still run goes on"
            first.free()
            third.free()
            assert sweep.end() == 0, sweep.said
        said = sweep.said
        for device, needed in (("one", "are needed to provision it"), ("three", "are needed for the")):
            (parked,) = {line for line in said.splitlines() if line.startswith(f"PARKED {device}: ")}
            assert "MiB free" in parked
            assert needed in parked
        assert assert_whole(results, cells=3 + 3 + ALONE) == []
        assert_nothing_left(bed, results)


@pytest.mark.faults
def test_a_full_disk_and_a_clock_set_back_while_measuring_and_altered_files(bed: VirtualTestbed, results: Path) -> None:
    """No figure rests on disk or clock, and rows say that the clock is wrong; the next sweep finds what was altered."""
    bed.play("playbooks/provision.yml", "--limit", "one,localhost")
    with small_disk(bed, "two", 64) as disk, slow_clock(bed.root / "one" / "splitbed") as clock_is_back:
        with sweeping(bed, results, splits="P3", batches="60") as sweep:
            sweep.until_rows(1)
            clock_is_back.touch()
            disk.fill(leave_kb=0)
            assert sweep.end() == 0, sweep.said
        assert_nothing_left(bed, results)
    assert assert_whole(results, cells=NEAR - 1) == []
    assert_measured_though_the_clock_was_set_back(rows_of(results))
    truncated, altered = block_file(bed, "one", 0), block_file(bed, "one", 16)
    sizes = truncated.stat().st_size, altered.stat().st_size
    version = bed.root / "one" / "splitbed" / "runtime" / "stage_runtime" / "__init__.py"
    truncate(truncated)
    alter(altered)
    version.write_text(version.read_text().replace("0.1.0", "0.0.9"))
    with sweeping(bed, results, playbook=True, splits="P3,P17", batches="60") as sweep:
        assert sweep.end() == 0, sweep.said
    assert "0.1.0" in version.read_text()
    assert (truncated.stat().st_size, altered.stat().st_size) == sizes
    (noticed,) = assert_whole(results, cells=NEAR)
    assert (noticed["split"], noticed["failed_device"]) == ("P17", "one")
    assert f"{altered.name} is not usable (content has the sha256 " in noticed["reason"]
    assert_nothing_left(bed, results)


def assert_measured_though_the_clock_was_set_back(rows: list[dict[str, Any]]) -> None:
    first, last = rows[0], rows[-1]
    assert not [text for text in first["warnings"] if text.startswith("clock: ")]
    assert "one is 3600 s behind the control node" in " ".join(last["warnings"])
    assert datetime.fromisoformat(last["started"]) < datetime.fromisoformat(first["started"]), "it was set back"
    for row in rows:
        assert 0 < row["latency_ms"] <= row["response_ms"] < 5000
        assert row["elapsed_s"] < 60
        assert all(abs(hop["offset_ms"]) < 50 for hop in row["hops"]), "both devices have this machine's other clock"


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def alter(file: Path) -> None:
    """Change a file and keep its size."""
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


@pytest.mark.faults
def test_interrupted_once_the_running_cell_is_kept_and_nothing_is_left(bed: VirtualTestbed, results: Path) -> None:
    """Interrupted twice, the sweep stops at once."""
    with sweeping(bed, results, batches="60") as sweep:
        sweep.until_rows(1)
        sweep.interrupt()
        assert sweep.end() == 3, sweep.said
    kept = rows_of(results)
    assert "stopping after the running cell; once more stops at once" in sweep.said
    assert "the sweep was stopped" in sweep.said
    assert 1 <= len(kept) < NEAR
    assert {row["status"] for row in kept} == {"ok"}
    assert_nothing_left(bed, results)
    with sweeping(bed, results, batches="60") as sweep:
        sweep.until_rows(len(kept) + 1)
        sweep.interrupt()
        sweep.until_said("once more stops at once")
        sweep.interrupt()
        asked = time.monotonic()
        assert sweep.end() in {0, 3}, sweep.said  # the last cell may just have been measured
        assert time.monotonic() - asked < STOP_NOW_WITHIN_S
        assert "stopping at once; once more leaves what runs on the devices to end by itself" in sweep.said
    assert_nothing_left(bed, results)
    with sweeping(bed, results, batches="60") as sweep:
        assert sweep.end() == 0, sweep.said
    assert rows_of(results)[: len(kept)] == kept
    assert assert_whole(results, cells=NEAR) == []


@pytest.mark.faults
@pytest.mark.parametrize("playbook", [True, False], ids=["ansible-playbook", "python -m sweep"])
def test_interrupts_reach_the_sweep_by_either_front_end(bed: VirtualTestbed, results: Path, playbook: bool) -> None:
    """Ctrl-C once while devices are made ready, while shards are copied and while measuring; twice while measuring."""
    steps = {"provisioning: ": "distributing shards: ", "distributing shards: ": ") under quick: 4 cells"}
    for step, next_step in steps.items():
        with sweeping(bed, results, playbook=playbook) as sweep:
            sweep.until_said(step)
            sweep.interrupt()
            assert sweep.end() in {2, 3}, sweep.said
            assert next_step not in sweep.said, "no further step is begun"
        assert rows_of(results) == []
        assert_nothing_left(bed, results)
    with sweeping(bed, results, playbook=playbook) as sweep:
        sweep.until_rows(1)
        sweep.interrupt()
        assert sweep.end() in {2, 3}, sweep.said
    once = rows_of(results)
    assert 1 <= len(once) < NEAR
    assert {row["status"] for row in once} == {"ok"}
    assert "once more stops at once" in sweep.said or "Ctrl-C again stops at once" in sweep.said
    assert_nothing_left(bed, results)
    with sweeping(bed, results, playbook=playbook, networks="quick,slow") as sweep:
        sweep.until_rows(len(once) + 1)
        sweep.interrupt()
        time.sleep(0.3)
        sweep.interrupt()
        asked = time.monotonic()
        assert sweep.end() in {2, 3}, sweep.said
        assert time.monotonic() - asked < STOP_NOW_WITHIN_S
    assert "stopping stages and clearing links: one, two" in sweep.said
    assert {row["status"] for row in rows_of(results)} == {"ok"}
    assert_nothing_left(bed, results)
    with sweeping(bed, results, playbook=playbook, networks="quick,slow") as sweep:
        assert sweep.end() == 0, sweep.said
    assert rows_of(results)[: len(once)] == once
    assert assert_whole(results, cells=2 * NEAR) == []


@pytest.mark.faults
def test_ssh_refused_half_way_parks_the_chain_until_it_is_let_in_again(bed: VirtualTestbed, results: Path) -> None:
    with sweeping(bed, results, chains="near,alone", patience_s="120") as sweep:
        sweep.until_rows(1)
        with refusing_ssh(bed, "one"):
            sweep.until_said("PUT ASIDE until all else is done: near (one → two) under quick: ")
            sweep.until_row_of("alone")
            sweep.until_said("PARKED one: ")  # it cannot be brought up either while this machine has its address
        assert sweep.end() == 0, sweep.said
    assert "Connection refused" in sweep.said
    for row in assert_whole(results, cells=NEAR + ALONE):
        assert row["failed_device"] == "one"
        assert "one is unreachable" in row["reason"]
    assert_nothing_left(bed, results)


@pytest.mark.faults
def test_ssh_refused_while_shards_are_copied_parks_the_device_until_it_is_let_in(
    bed: VirtualTestbed, results: Path
) -> None:
    with sweeping(bed, results, chains="near,alone", patience_s="120") as sweep:
        sweep.until_said("distributing shards: ")
        with refusing_ssh(bed, "one"):
            sweep.until_said("PARKED one: unreachable: ")
            sweep.until_row_of("alone")
            assert {row["chain"] for row in sweep.rows} == {"alone"}, "what can still run goes on"
        assert sweep.end() == 0, sweep.said
    assert assert_whole(results, cells=NEAR + ALONE) == []
    assert_nothing_left(bed, results)


@pytest.mark.faults
def test_the_journals_full_disk_stops_the_sweep_with_whole_rows(bed: VirtualTestbed, results: Path) -> None:
    with small_results(results, 24) as filler:
        with sweeping(bed, results) as sweep:
            sweep.until_rows(1)
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(2**16))
            assert sweep.end() == 2, sweep.said
        assert "free some space and run again" in sweep.said
        kept = rows_of(results)
        assert 1 <= len(kept) < NEAR
        assert {name: stage_on(bed, name) for name in bed.names} == dict.fromkeys(bed.names)
        with sweeping(bed, results) as sweep:
            assert sweep.end() == 2, "nothing is begun on a full disk"
            assert "its disk is full" in sweep.said
        filler.unlink()
        with sweeping(bed, results) as sweep:
            assert sweep.end() == 0, sweep.said
        assert rows_of(results)[: len(kept)] == kept
        assert assert_whole(results, cells=NEAR) == []
        assert_nothing_left(bed, results)


@pytest.mark.faults
def test_what_a_killed_driver_left_on_its_devices_ends_by_itself(bed: VirtualTestbed, results: Path) -> None:
    soon = {"stage_service_idle_s": "5", "link_shape_ttl_s": "8"}
    with sweeping(bed, results, playbook=True, **soon) as sweep:
        sweep.until_rows(1)
        sweep.kill()
    until(lambda: not plays_on(bed), "the plays end with their driver")
    until(lambda: not any(stage_on(bed, name) for name in bed.names), "the stages end by themselves")
    until(lambda: not shaped_links(bed), "the shaping ends by itself")
    kept = rows_of(results)
    with sweeping(bed, results, playbook=True) as sweep:
        assert sweep.end() == 0, sweep.said
    assert re.search(rf"\[1/{NEAR - len(kept)}\] .* left\n", sweep.said), "it shows how far it is"
    assert rows_of(results)[: len(kept)] == kept
    assert assert_whole(results, cells=NEAR) == []
    assert_nothing_left(bed, results)


@pytest.mark.faults
def test_a_disk_that_fills_while_shards_are_copied_parks_its_device(bed: VirtualTestbed, results: Path) -> None:
    with small_disk(bed, "one", 64) as disk:
        bed.play("playbooks/provision.yml", "--limit", "one,localhost")
        with sweeping(bed, results, chains="near,alone", patience_s="120") as sweep:
            sweep.until_said("distributing shards: ")
            until(lambda: _is_copied_to(disk) or bool(sweep.rows), "no shard is copied")
            disk.fill(leave_kb=50)
            sweep.until_row_of("alone")
            disk.free()
            assert sweep.end() == 0, sweep.said
        assert assert_whole(results, cells=NEAR + ALONE) == []
        assert_nothing_left(bed, results)


def _is_copied_to(disk: Disk) -> bool:
    return "bundle" in disk.names("tmp") or ".tar" in disk.names("tmp")
