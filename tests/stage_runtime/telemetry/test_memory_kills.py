"""Kills for lack of memory, as the kernel counts them."""

from __future__ import annotations

from pathlib import Path

import pytest

from stage_runtime.telemetry.memory_kills import memory_kills
from tests.stage_runtime.telemetry.machines import write


def group(folder: Path, version: int, *, limited: bool) -> Path:
    """Lay out a device's control group of 512 MiB, or without a limit, and a machine with 9 kills; give its folder."""
    mount = folder / "groups"
    own = mount / "pi1"
    write(folder / "self" / "cgroup", {1: "5:memory:/pi1\n", 2: "0::/pi1\n"}[version])
    kind = {1: "cgroup cgroup rw,memory", 2: "cgroup2 cgroup2 rw"}[version]
    write(folder / "self" / "mountinfo", f"30 24 0:26 / {mount} rw - {kind}\n")
    write(folder / "vmstat", "nr_free_pages 4\noom_kill 9\n")
    if limited:
        write(own / {1: "memory.limit_in_bytes", 2: "memory.max"}[version], f"{512 * 2**20}\n")
        write(own / {1: "memory.usage_in_bytes", 2: "memory.current"}[version], "1000\n")
    return own


@pytest.mark.parametrize(
    ("version", "file", "text"),
    [
        (1, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
        (2, "memory.events", "low 0\nhigh 0\nmax 41\noom 2\noom_kill 3\noom_group_kill 0\n"),
    ],
)
def test_a_limited_devices_own_group_counts(tmp_path: Path, version: int, file: str, text: str) -> None:
    own = group(tmp_path, version, limited=True)
    assert memory_kills(tmp_path) == 0, "the machine's are not this device's"
    write(own / file, text)
    assert memory_kills(tmp_path) == 3


def test_without_a_limit_the_machine_counts(tmp_path: Path) -> None:
    group(tmp_path, 2, limited=False)
    assert memory_kills(tmp_path) == 9


def test_a_kernel_that_counts_nothing_has_killed_nobody(tmp_path: Path) -> None:
    assert memory_kills(tmp_path) == 0
