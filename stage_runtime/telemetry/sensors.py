"""What the device's sensors and its processor's governor say."""

from __future__ import annotations

import re
from pathlib import Path

from stage_runtime.telemetry.groups import Roots, read_line, read_number

# Zones and chips that name the processor; others are disks, radios and chassis.
_PROCESSOR_ZONE = re.compile(r"cpu|soc|x86_pkg|bigcore|littlecore", re.IGNORECASE)
_PROCESSOR_CHIPS = {"coretemp", "k10temp", "zenpower", "cpu_thermal"}


class TemperatureSensor:
    """The processor's sensors, looked up once."""

    def __init__(self, roots: Roots) -> None:
        zones = sorted((roots.sys / "class" / "thermal").glob("thermal_zone*"))
        self._inputs: list[Path] = [zone / "temp" for zone in zones if _PROCESSOR_ZONE.search(read_line(zone / "type"))]
        if not self._inputs:
            chips = sorted((roots.sys / "class" / "hwmon").glob("hwmon*"))
            chosen = [chip for chip in chips if read_line(chip / "name") in _PROCESSOR_CHIPS]
            self._inputs = [path for chip in chosen for path in sorted(chip.glob("temp*_input"))]

    def read_c(self) -> float | None:
        """Give the hottest of them in degrees Celsius; None without any."""
        found = [value for path in self._inputs if (value := read_number(path)) is not None]
        return max(found) / 1000 if found else None


def read_governor(roots: Roots) -> str | None:
    """Give the frequency governor, several of them joined by ``+``; None where nothing governs."""
    files = (roots.sys / "devices" / "system" / "cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    return "+".join(sorted({found for path in files if (found := read_line(path))})) or None
