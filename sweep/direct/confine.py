"""Hold devices to their processors, and look whether that holds."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from sweep.direct.cgroups import QuotaGroups
from sweep.places import CHECKOUT
from sweep.testbed import Device

_HERE = Path(__file__).resolve().parent
_SPIN_S = 0.4
_SPIN_LIMIT_S = 30.0
# A quota is exact to a period or two of those that fit into the look.
_TOLERANCE = 0.15


class Confinement(msgspec.Struct, frozen=True, kw_only=True):
    """How a device's processes are held to its share: ``group`` is None where a quota is not needed or not to be had.

    ``threads`` is what a stage computes with, 0 for as many as it finds.  ``why_no_quota`` is empty where one
    is in force or not needed.
    """

    device: str
    asked: float | None
    cores: tuple[int, ...]
    group: str | None
    threads: int
    why_no_quota: str = ""

    def command(self, words: Sequence[str]) -> list[str]:
        """Give the command that runs `words` in this confinement and ends with this process."""
        cores = ["--cores", ",".join(map(str, self.cores))] if self.cores else []
        group = ["--group", self.group] if self.group else []
        launch = [sys.executable, "-I", "-S", str(_HERE / "launch.py"), "--parent", str(os.getpid())]
        return [*launch, *cores, *group, "--", *words]


def confine(device: Device, cores: tuple[int, ...], groups: QuotaGroups) -> Confinement:
    """Decide how `device` is held to its share on `cores`.

    A whole number of processors is that many cores; a fraction needs a quota, and without one the device gets
    the next whole number of cores.
    """
    group, why = None, ""
    if device.cpus is not None and device.cpus != len(cores):
        try:
            group = str(groups.make(_group_name(device), device.cpus))
        except OSError as exc:
            why = f"no control group can be made ({exc.strerror or exc})"
    return Confinement(
        device=device.name,
        asked=device.cpus,
        cores=cores,
        group=group,
        threads=_threads(device, cores, limited=group is not None),
        why_no_quota=why,
    )


def _group_name(device: Device) -> str:
    """Give the device's name in this checkout, which one sweep at a time holds: what a killed one left is reused."""
    return f"{device.name}.{hashlib.sha256(os.fsencode(CHECKOUT)).hexdigest()[:8]}"


def _threads(device: Device, cores: tuple[int, ...], *, limited: bool) -> int:
    """Give whole processors within the share: a thread more would be waited for while the group is throttled."""
    if device.cpus is None:
        return 0
    return max(1, math.floor(device.cpus)) if limited else len(cores)


def processors_had(confinement: Confinement) -> float | None:
    """Measure how many processors a process in this confinement can use; None where that cannot be told.

    Raises OSError where the confinement itself fails.
    """
    if confinement.asked is None:
        return None
    processes = math.ceil(confinement.asked) + 1
    spin = [sys.executable, "-I", "-S", str(_HERE / "spin.py"), str(processes), str(_SPIN_S)]
    try:
        done = subprocess.run(
            confinement.command(spin), capture_output=True, text=True, check=False, timeout=_SPIN_LIMIT_S
        )
        return float(done.stdout)
    except subprocess.TimeoutExpired as exc:
        raise OSError(f"{confinement.device} had too little processor time for a look in {exc.timeout:g} s") from exc
    except ValueError as exc:
        raise OSError(f"{confinement.device} cannot be confined: {done.stderr.strip() or 'no reason given'}") from exc


def confinement_warnings(confinement: Confinement, had: float | None) -> tuple[str, ...]:
    """Say what a row is to warn of where a device does not have the processors that were asked for."""
    if confinement.asked is None or had is None:
        return ()
    found = f"{confinement.device} was asked to have {confinement.asked:g} CPUs and measured {had:.2f}"
    if confinement.why_no_quota:
        cores = ",".join(map(str, confinement.cores))
        held = f"it is held by affinity to core {cores} and {confinement.threads} thread(s) alone"
        return (f"no CPU quota: {found}: {confinement.why_no_quota}; {held}",)
    if abs(had - confinement.asked) > _TOLERANCE * confinement.asked:
        return (f"CPU quota off: {found}: the machine does not keep to it, or is busy",)
    return ()
