"""Keep two sweeps of this checkout off one device: each would stop the other's stages."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from sweep.errors import CampaignError
from sweep.inventory import Device


class DeviceLocks:
    """Hold devices for one campaign while open; the kernel lets go of them whatever ends the process.

    Raises CampaignError naming the device and who holds it.
    """

    def __init__(self, folder: Path, devices: Iterable[Device], campaign: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            for device in devices:
                self._take(folder / f"{device.name}@{device.data_address}", device.name, campaign, held)
            self._held = held.pop_all()

    @staticmethod
    def _take(path: Path, device: str, campaign: str, held: ExitStack) -> None:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        held.callback(os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            holder = os.read(lock, 200).decode(errors="replace").strip() or "another sweep"
            raise CampaignError(
                f"device `{device}` is in use by {holder}; remedy: wait for it, or choose chains without the device"
            ) from exc
        os.ftruncate(lock, 0)
        os.write(lock, f"campaign {campaign} (process {os.getpid()})\n".encode())

    def __enter__(self) -> Self:
        """Hold the devices for a ``with`` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of them."""
        self._held.close()
