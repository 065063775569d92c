"""Keep two sweeps of this checkout off one folder and one device.

The kernel lets go of a lock whatever ends the process that holds it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sweep.errors import CampaignError
from sweep.testbed import Device

_LONGEST_HOLDER = 200


class HeldElsewhere(Exception):  # noqa: N818 - not an error yet: the caller knows what is held, and says so
    """Another process holds the file; ``holder`` is what it wrote there of itself."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


def take_lock(path: Path, holder: str) -> int:
    """Lock the file at `path` for this process, write `holder` into it, and give its descriptor.

    Raises HeldElsewhere; and OSError where the file cannot be made.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        found = os.read(lock, _LONGEST_HOLDER).decode(errors="replace").strip()
        os.close(lock)
        raise HeldElsewhere(found or "unknown") from exc
    os.ftruncate(lock, 0)
    os.write(lock, f"{holder}\n".encode())
    return lock


@contextmanager
def hold_devices(folder: Path, devices: Iterable[Device], campaign: str) -> Iterator[None]:
    """Hold devices for one campaign: another sweep on one of them would stop its stages.

    Raises CampaignError naming the device and who holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        for device in devices:
            try:
                lock = take_lock(
                    folder / f"{device.name}@{device.data_address}", f"campaign {campaign} (process {os.getpid()})"
                )
            except HeldElsewhere as exc:
                raise CampaignError(
                    f"device `{device.name}` is in use by {exc.holder}; remedy: wait for it, or choose chains "
                    "without the device"
                ) from exc
            held.callback(os.close, lock)
        yield
