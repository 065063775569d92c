"""What is counted on a machine of its own, and on a part of one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stage_runtime.telemetry.counters import Counters, DeviceCounters
from stage_runtime.telemetry.groups import Roots
from tests.stage_runtime.telemetry.machines import Machine

TICK = 10**9 // os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def test_a_machine_is_its_own_device(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.count(machine=40, stolen=3, pages=5, waits=6)
    assert DeviceCounters(machine.roots).read() == Counters(
        busy_ns=40 * TICK,
        machine_ns=40 * TICK,
        stolen_ns=3 * TICK,
        throttled_ns=None,
        swapped_bytes=10 * PAGE,
        waited_ns={10: 6_000_000, 11: 12_000_000},
    )


@pytest.mark.parametrize("version", [1, 2])
def test_a_limited_device_is_its_control_group(tmp_path: Path, version: int) -> None:
    machine = Machine(tmp_path, version)
    machine.count(machine=40, device=300)
    read = DeviceCounters(machine.roots).read()
    assert (read.busy_ns, read.machine_ns, read.throttled_ns) == (300_000_000, 40 * TICK, 150_000_000)


def test_a_group_without_accounting_has_no_use(tmp_path: Path) -> None:
    machine = Machine(tmp_path, 1)
    (tmp_path / "groups" / "acct" / "d" / "cpuacct.usage").unlink()
    # not the machine's either: that would be somebody else's
    assert DeviceCounters(machine.roots).read().busy_ns is None


def test_what_is_not_there_is_not_counted(tmp_path: Path) -> None:
    roots = Roots(proc=tmp_path, sys=tmp_path)
    assert DeviceCounters(roots).read() == Counters(
        busy_ns=None, machine_ns=None, stolen_ns=None, throttled_ns=None, swapped_bytes=None, waited_ns={}
    )


def test_this_machine_counts() -> None:
    counters = DeviceCounters(Roots())
    begin = counters.read()
    sum(range(2_000_000))
    end = counters.read()
    assert begin.machine_ns is not None
    assert end.machine_ns is not None
    assert end.machine_ns >= begin.machine_ns > 0
