"""Control groups with a quota: what is written under either generation, and that nothing stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.direct.cgroups import Hierarchy, QuotaGroups, find_hierarchy


def test_version_1_is_found_by_its_controller() -> None:
    mounts = (
        "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"
        "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,cpu,cpuacct 0 0\n"
    )
    assert find_hierarchy(mounts) == Hierarchy(Path("/sys/fs/cgroup/cpu,cpuacct"), 1)


def test_cpusets_alone_are_no_quotas() -> None:
    assert find_hierarchy("cgroup /sys/fs/cgroup/cpuset cgroup rw,cpuset 0 0\nproc /proc proc rw 0 0\n") is None


@pytest.mark.parametrize(("controllers", "found"), [("cpuset cpu io memory", True), ("cpuset io", False)])
def test_version_2_must_offer_the_controller(tmp_path: Path, controllers: str, found: bool) -> None:
    (tmp_path / "cgroup.controllers").write_text(controllers + "\n")
    assert find_hierarchy(f"cgroup2 {tmp_path} cgroup2 rw 0 0\n") == (Hierarchy(tmp_path, 2) if found else None)


def test_a_quota_of_version_1(tmp_path: Path) -> None:
    groups = QuotaGroups(Hierarchy(tmp_path, 1))
    group = groups.make("pi1", 0.5)
    assert (group / "cpu.cfs_period_us").read_text() == "10000"
    assert (group / "cpu.cfs_quota_us").read_text() == "5000"


def test_a_quota_of_version_2_and_what_lets_it_be(tmp_path: Path) -> None:
    (tmp_path / "cgroup.subtree_control").write_text("memory")
    groups = QuotaGroups(Hierarchy(tmp_path, 2))
    group = groups.make("pi1", 1.5)
    assert (group / "cpu.max").read_text() == "15000 10000"
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu"
    assert (group.parent / "cgroup.subtree_control").read_text() == "+cpu"


def test_groups_are_removed_but_not_those_of_another_sweep(tmp_path: Path) -> None:
    mine, others = QuotaGroups(Hierarchy(tmp_path, 1)), QuotaGroups(Hierarchy(tmp_path, 1))
    group, other = mine.make("pi1", 0.5), others.make("pi2", 0.5)
    for file in (*group.iterdir(), *other.iterdir()):
        file.unlink()  # the kernel's own files do not count for rmdir
    mine.close()
    assert not group.exists()
    assert other.exists()
    others.close()
    assert list(tmp_path.iterdir()) == []


def test_without_a_controller_there_is_no_group() -> None:
    with pytest.raises(OSError, match="no cgroup controller"):
        QuotaGroups(None).make("pi1", 0.5)
