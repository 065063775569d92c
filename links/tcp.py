"""What the kernel's TCP remembers, where that would carry one condition into the next or spoil a far one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from links import execute

SLOW_START_AFTER_IDLE = Path("/proc/sys/net/ipv4/tcp_slow_start_after_idle")
_OFF = "0"


def forget_metrics(addresses: Iterable[str]) -> None:
    """Drop what TCP learnt of the peers under the condition before, where the kernel keeps such."""
    for address in addresses:
        execute.succeeds(("ip", "tcp_metrics", "flush", address))


def to_put_back(setting: Path = SLOW_START_AFTER_IDLE) -> str | None:
    """Give the setting that :func:`keep_windows` would change; None where it is off, or there is none."""
    with contextlib.suppress(OSError):
        found = setting.read_text().strip()
        return None if found == _OFF else found
    return None


def keep_windows(setting: Path = SLOW_START_AFTER_IDLE) -> None:
    """Have connections not begin slowly again after idle times: on a far link that costs a batch round trips.

    Where this user may not, it stays as it is, and the device's provenance says so.
    """
    with contextlib.suppress(OSError):
        setting.write_text(f"{_OFF}\n")


def put_back(value: str | None, setting: Path = SLOW_START_AFTER_IDLE) -> None:
    """Put the former setting back; None: it was not changed."""
    if value is not None:
        with contextlib.suppress(OSError):
            setting.write_text(f"{value}\n")
