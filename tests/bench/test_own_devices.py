"""Which core each device of a benchmark has."""

from __future__ import annotations

import os

import pytest

from bench.own_devices import own_devices, whole_cores
from bench.testbed import BenchError


@pytest.mark.parametrize(
    ("count", "cores", "expected"),
    [
        (2, [0, 1], ["0", "1"]),
        (2, [0, 1, 2], ["1", "2"]),
        (4, [0, 1], ["0", "1", "0", "1"]),
        (3, [4, 5, 6, 7], ["5", "6", "7"]),
        (1, [3], ["3"]),
    ],
)
def test_every_device_has_a_core_of_its_own_as_long_as_there_are_enough(
    count: int, cores: list[int], expected: list[str]
) -> None:
    devices = whole_cores(count, cores)
    assert list(devices) == [f"d{place + 1}" for place in range(count)]
    assert [device["virtual_cores"] for device in devices.values()] == expected
    assert {device["virtual_cpus"] for device in devices.values()} == {1.0}


def test_without_root_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(BenchError, match="remedy: sudo"), own_devices(2, {"bench": ("d1", "d2")}):
        pass
