"""Where virtual devices share cores, rows say so."""

from __future__ import annotations

from sweep.contention import contention_warnings
from tests.sweep.support import device


def test_devices_with_machines_of_their_own_are_not_counted() -> None:
    assert contention_warnings([device("a", kind="pi"), device("b", kind="gpu")], 1) == ()
    assert contention_warnings([device("a", cpus=1.0), device("b", kind="pi")], 2) == ()


def test_more_cpus_than_cores_are_oversubscribed() -> None:
    (warning,) = contention_warnings([device("a", cpus=1.5), device("b", cpus=1.0)], 2)
    assert warning == "oversubscribed: 2 devices with 2.5 CPUs on 2 cores"


def test_exactly_all_cores_leave_none_for_the_control_node() -> None:
    (warning,) = contention_warnings([device("a", cpus=1.0), device("b", cpus=1.0)], 2)
    assert warning.startswith("no spare core")
    assert contention_warnings([device("a", cpus=1.0), device("b", cpus=0.9)], 2) == ()


def test_devices_pinned_to_one_core_share_it() -> None:
    pinned = [device(name, cpus=0.6, cores=(0,)) for name in "ab"]
    assert contention_warnings(pinned, 4) == ("oversubscribed: a, b ask for 1.2 CPUs of core 0",)
    assert contention_warnings([device(name, cpus=0.5, cores=(0,)) for name in "ab"], 4) == ()
    apart = [device("a", cpus=0.6, cores=(0,)), device("b", cpus=0.6, cores=(1,))]
    assert contention_warnings(apart, 4) == ()


def test_cores_that_overlap_count_as_well() -> None:
    devices = [device("a", cpus=0.8, cores=(0,)), device("b", cpus=1.5, cores=(0, 1))]
    assert contention_warnings(devices, 8) == ("oversubscribed: a, b ask for 2.3 CPUs of core 0,1",)
