"""Holding a device to its processors: what is decided, what a row is told, and that it holds."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from sweep.direct.cgroups import Hierarchy, QuotaGroups
from sweep.direct.confine import Confinement, confine, confinement_warnings, processors_had
from sweep.direct.devices import parse_devices
from sweep.testbed import Device

NO_GROUPS = QuotaGroups(None)
HERE = tuple(sorted(os.sched_getaffinity(0)))


def a_device(cpus: str) -> Device:
    return parse_devices(f"pi1:cpu{cpus}", range(8))[0]


@pytest.mark.parametrize(("cpus", "cores", "threads"), [(":1", (0,), 1), (":3", (0, 1, 2), 3), ("", (0, 1), 0)])
def test_whole_processors_are_cores_and_need_no_quota(cpus: str, cores: tuple[int, ...], threads: int) -> None:
    held = confine(a_device(cpus), cores, NO_GROUPS)
    assert (held.group, held.threads, held.why_no_quota) == (None, threads, "")


@pytest.mark.parametrize(("cpus", "threads"), [(":0.5", 1), (":2.5", 2)])
def test_a_fraction_is_a_quota(tmp_path: Path, cpus: str, threads: int) -> None:
    device = a_device(cpus)
    held = confine(device, device.cores, QuotaGroups(Hierarchy(tmp_path, 1)))
    assert held.group is not None
    assert (Path(held.group) / "cpu.cfs_quota_us").exists()
    assert held.threads == threads
    assert confinement_warnings(held, float(cpus[1:])) == ()


def test_without_a_quota_the_rows_are_told() -> None:
    held = confine(a_device(":0.5"), (0,), NO_GROUPS)
    assert (held.group, held.threads) == (None, 1)
    (warning,) = confinement_warnings(held, 0.98)
    assert warning.startswith("no CPU quota: pi1 was asked to have 0.5 CPUs and measured 0.98")
    assert "affinity to core 0 and 1 thread(s) alone" in warning


@pytest.mark.parametrize(("had", "warned"), [(0.5, False), (0.56, False), (0.6, True), (0.4, True)])
def test_a_quota_that_does_not_hold_is_told(had: float, warned: bool) -> None:
    held = Confinement(device="pi1", asked=0.5, cores=(0,), group="/g", threads=1)
    assert [text.startswith("CPU quota off: pi1") for text in confinement_warnings(held, had)] == [True] * warned


def test_a_device_without_a_number_is_not_judged() -> None:
    held = confine(a_device(""), HERE, NO_GROUPS)
    assert processors_had(held) is None
    assert confinement_warnings(held, None) == ()


@pytest.mark.skipif(len(HERE) == 1, reason="one core holds everybody to itself")
def test_a_process_held_to_a_core_has_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweep.direct.confine._SPIN_S", 1.0)
    held = Confinement(device="pi1", asked=1.0, cores=HERE[:1], group=None, threads=1)
    had = processors_had(held)
    assert had is not None
    assert 0 < had < 1.2


def test_a_group_that_is_not_there_is_an_error_that_names_the_device() -> None:
    held = Confinement(device="pi1", asked=0.5, cores=HERE[:1], group="/nowhere", threads=1)
    with pytest.raises(OSError, match=r"pi1 cannot be confined: launch: .*/nowhere"):
        processors_had(held)


def test_a_look_that_takes_too_long_is_an_error_that_names_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweep.direct.confine._SPIN_LIMIT_S", 1e-3)
    with pytest.raises(OSError, match=r"pi1 had too little processor time for a look in 0\.001 s"):
        processors_had(Confinement(device="pi1", asked=1.0, cores=HERE[:1], group=None, threads=1))


def test_a_confinement_can_be_written_down() -> None:
    held = confine(a_device(":0.5"), (0,), NO_GROUPS)
    assert msgspec.json.decode(msgspec.json.encode(held), type=Confinement) == held
