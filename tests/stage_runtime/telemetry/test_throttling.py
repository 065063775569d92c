"""What the firmware's word means before and after a run, from its file and from its command."""

from __future__ import annotations

from pathlib import Path

import pytest

from stage_runtime.telemetry.throttling import ThrottleWatch
from tests.stage_runtime.telemetry.machines import Machine

FILE = "devices/platform/soc/soc:firmware/get_throttled"
NONE = "no-such-command"


@pytest.mark.parametrize(
    ("before", "after", "seen"),
    [
        ("0", "0", ()),
        ("0", "50005", ("undervoltage", "throttled")),
        # it was so for a moment in between
        ("0", "20000", ("frequency capped",)),
        # it holds now, whenever it began
        ("80008", "80008", ("soft temperature limit",)),
        ("50005", "50000", ("undervoltage", "throttled")),
        # sticky from before: whether it happened again cannot be told
        ("50000", "50000", ("undervoltage before the run", "throttled before the run")),
        ("50000", "70000", ("undervoltage before the run", "frequency capped", "throttled before the run")),
    ],
)
def test_bits_are_compared(tmp_path: Path, before: str, after: str, seen: tuple[str, ...]) -> None:
    machine = Machine(tmp_path)
    machine.file(FILE, f"{before}\n")
    watch = ThrottleWatch(machine.roots, NONE)
    machine.file(FILE, f"{after}\n")
    assert watch.seen() == seen


def command(folder: Path, script: str) -> str:
    path = folder / "vcgencmd"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_the_command_answers_where_there_is_no_file(tmp_path: Path) -> None:
    script = '[ "$*" = get_throttled ] && echo throttled=0x$(cat "$(dirname "$0")/word")'
    vcgencmd = command(tmp_path, script)
    (tmp_path / "word").write_text("0")
    watch = ThrottleWatch(Machine(tmp_path).roots, vcgencmd)
    (tmp_path / "word").write_text("20002")
    assert watch.seen() == ("frequency capped",)


@pytest.mark.parametrize("script", ["exit 1", "echo VCHI initialization failed", "echo throttled="])
def test_a_command_that_fails_says_nothing(tmp_path: Path, script: str) -> None:
    assert ThrottleWatch(Machine(tmp_path).roots, command(tmp_path, script)).seen() == ()


def test_a_processor_that_counts_its_thermal_events_is_watched(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.file("devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "7\n")
    machine.file("devices/system/cpu/cpu0/thermal_throttle/package_throttle_count", "9\n")
    watch = ThrottleWatch(machine.roots, NONE)
    assert watch.seen() == ()
    machine.file("devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "8\n")
    assert watch.seen() == ("processor too hot",)
