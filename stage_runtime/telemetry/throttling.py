"""Whether the device slowed itself down: the firmware of a Raspberry Pi, or an Intel processor's counters.

The firmware's word has four bits for what holds now and, 16 bits further up, four sticky ones for what has
been since the device was started (raspberrypi.com/documentation, ``vcgencmd get_throttled``).  The kernel of
Raspberry Pi OS shows it as a file; without that file ``vcgencmd`` is run, which starts a process and so has no
place inside a measured interval.
"""

from __future__ import annotations

import shutil
import subprocess

from stage_runtime.telemetry.groups import Roots, read_line, read_number

_BITS = {0: "undervoltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
_STICKY = 16
_TIMEOUT_S = 2.0
BEFORE = " before the run"


class ThrottleWatch:
    """Compares what the device says before a run and after it."""

    def __init__(self, roots: Roots, vcgencmd: str = "vcgencmd") -> None:
        self._roots = roots
        self._vcgencmd = shutil.which(vcgencmd)
        self._begin = self._word()
        self._begin_count = self._count()

    def seen(self) -> tuple[str, ...]:
        """Name what slowed the device down since the watch was made.

        A sticky bit that was set already cannot say whether it happened again: named with ``BEFORE``,
        unless it holds now.
        """
        begin, end = self._begin or 0, self._word() or 0
        named = []
        for bit, what in _BITS.items():
            now, sticky = 1 << bit, 1 << (bit + _STICKY)
            if (begin | end) & now or end & ~begin & sticky:
                named.append(what)
            elif begin & sticky:
                named.append(what + BEFORE)
        if self._count() > self._begin_count:
            named.append("processor too hot")
        return tuple(named)

    def _word(self) -> int | None:
        platform = self._roots.sys / "devices" / "platform"
        for path in platform.glob("soc*/*firmware*/get_throttled"):
            return _hexadecimal(read_line(path))
        if self._vcgencmd is None:
            return None
        try:
            done = subprocess.run(
                [self._vcgencmd, "get_throttled"], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return _hexadecimal(done.stdout.strip().partition("=")[2])

    def _count(self) -> int:
        """Count thermal events of an Intel processor's packages and cores."""
        files = (self._roots.sys / "devices" / "system" / "cpu").glob("cpu[0-9]*/thermal_throttle/*_throttle_count")
        return sum(read_number(path) or 0 for path in files)


def _hexadecimal(text: str) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None
