"""Control groups as the kernel shows them, laid out in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from stage_runtime.telemetry.limits import Limits, read_limits, threads_allowed


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def version_2(tmp_path: Path) -> Path:
    mount = tmp_path / "sys" / "fs" / "cgroup"
    write(tmp_path / "self" / "cgroup", "0::/lab/pi1\n")
    write(
        tmp_path / "self" / "mountinfo",
        f"30 24 0:26 / {mount} rw,nosuid - cgroup2 cgroup2 rw\n31 24 0:5 / /dev rw - devtmpfs udev rw\n",
    )
    write(mount / "lab" / "pi1" / "cpu.max", "max 100000\n")
    write(mount / "lab" / "cpu.max", "15000 10000\n")
    write(mount / "lab" / "pi1" / "memory.max", "4294967296\n")
    write(mount / "lab" / "pi1" / "memory.current", "1073741824\n")
    write(mount / "lab" / "pi1" / "memory.stat", "anon 5\ninactive_file 73741000\nactive_file 824\n")
    return tmp_path


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    mount = tmp_path / "cg"
    write(tmp_path / "self" / "cgroup", "5:memory:/sb/pi1\n4:cpuacct,cpu:/sb/pi1\n0::/\n")
    write(
        tmp_path / "self" / "mountinfo",
        f"30 24 0:26 / {mount}/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
        f"31 24 0:27 / {mount}/memory rw - cgroup cgroup rw,memory\n"
        f"32 24 0:28 / {mount}/unified rw - cgroup2 cgroup2 rw\n",
    )
    write(mount / "cpu" / "sb" / "pi1" / "cpu.cfs_quota_us", "5000\n")
    write(mount / "cpu" / "sb" / "pi1" / "cpu.cfs_period_us", "10000\n")
    write(mount / "cpu" / "cpu.cfs_quota_us", "-1\n")
    write(mount / "cpu" / "cpu.cfs_period_us", "100000\n")
    write(mount / "memory" / "sb" / "pi1" / "memory.limit_in_bytes", "1000000000\n")
    write(mount / "memory" / "sb" / "pi1" / "memory.usage_in_bytes", "400000000\n")
    statistics = "inactive_file 1\ntotal_inactive_file 90000000\ntotal_active_file 10000000\n"
    write(mount / "memory" / "sb" / "pi1" / "memory.stat", statistics)
    write(mount / "memory" / "memory.limit_in_bytes", "9223372036854771712\n")
    write(mount / "memory" / "memory.usage_in_bytes", "5\n")
    return tmp_path


def test_version_2_takes_the_tightest_level(version_2: Path) -> None:
    assert read_limits(version_2) == Limits(
        processors=1.5, memory_bytes=4294967296, memory_used_bytes=1073741824 - 73741824, period_s=0.01
    )


def test_version_1_is_read_from_each_controllers_hierarchy(version_1: Path) -> None:
    assert read_limits(version_1) == Limits(
        processors=0.5, memory_bytes=1_000_000_000, memory_used_bytes=300_000_000, period_s=0.01
    )


def test_a_machine_without_control_groups_has_no_limits(tmp_path: Path) -> None:
    assert read_limits(tmp_path) == Limits(processors=None, memory_bytes=None, memory_used_bytes=None)


@pytest.mark.parametrize(
    ("processors", "cores", "threads"), [(None, 4, 4), (0.5, 4, 1), (1.9, 4, 1), (2.0, 4, 2), (8.0, 4, 4)]
)
def test_threads_fit_into_the_quota_and_the_cores(processors: float | None, cores: int, threads: int) -> None:
    limits = Limits(processors=processors, memory_bytes=None, memory_used_bytes=None)
    assert threads_allowed(limits, cores) == threads


def test_this_machines_own_limits_can_be_read() -> None:
    assert threads_allowed(read_limits()) >= 1
