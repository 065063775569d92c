from __future__ import annotations

from pathlib import Path

from stage_runtime.telemetry.sensors import TemperatureSensor, read_governor
from tests.stage_runtime.telemetry.machines import Machine


def test_the_hottest_processor_zone_counts(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for number, (kind, millidegrees) in enumerate([("cpu-thermal", 61200), ("iwlwifi", 90000), ("soc_thermal", 64100)]):
        machine.file(f"class/thermal/thermal_zone{number}/type", f"{kind}\n")
        machine.file(f"class/thermal/thermal_zone{number}/temp", f"{millidegrees}\n")
    assert TemperatureSensor(machine.roots).read_c() == 64.1


def test_without_a_zone_the_processors_chip_counts(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.file("class/hwmon/hwmon0/name", "nvme\n")
    machine.file("class/hwmon/hwmon0/temp1_input", "80000\n")
    machine.file("class/hwmon/hwmon1/name", "coretemp\n")
    machine.file("class/hwmon/hwmon1/temp1_input", "55000\n")
    machine.file("class/hwmon/hwmon1/temp2_input", "57000\n")
    assert TemperatureSensor(machine.roots).read_c() == 57.0


def test_a_zone_that_cannot_be_read_has_no_temperature(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.file("class/thermal/thermal_zone0/type", "cpu-thermal\n")
    assert TemperatureSensor(machine.roots).read_c() is None


def test_governors_are_named_once_each(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert read_governor(machine.roots) is None
    for core, governor in enumerate(["schedutil", "ondemand", "schedutil"]):
        machine.file(f"devices/system/cpu/cpu{core}/cpufreq/scaling_governor", f"{governor}\n")
    assert read_governor(machine.roots) == "ondemand+schedutil"
