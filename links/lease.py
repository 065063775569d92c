"""The lease on a shaped link: whose it is, and for how much longer.

A lease file holds JSON ``{"owner": …, "ttl_s": …}``.  It lies on the device; what keeps the lease
alive is its modification time, which the resident stage renews every few seconds.  When nobody has
for ``ttl_s``, the shaping is removed by whoever enforces the backend: the emulator, or a
guard process on the device.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

_LONGER_S = 60.0


class Lease(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who shaped the link, and how long it stays shaped without a sign of life."""

    owner: str
    ttl_s: float


def write_lease(path: Path, lease: Lease) -> None:
    """Write the lease file in one step; its time is now.

    It belongs to whoever owns its folder: links are shaped as root, and the stage that renews the
    lease may be somebody else's process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(msgspec.json.encode(lease))
    owner = path.parent.stat()
    if owner.st_uid != os.geteuid():
        os.chown(draft, owner.st_uid, owner.st_gid)
    draft.replace(path)


def read_lease(path: Path) -> Lease | None:
    """Read a lease file; None when it is missing or does not parse."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Lease)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def remaining_s(ttl_s: float, granted: float, files: Iterable[Path], now: float | None = None) -> float:
    """Give the seconds left of a lease granted at the wall-clock time ``granted``.

    The newest sign of life counts: the grant itself or the modification time of any lease file.
    A sign from the future (a clock that was set back) counts as now.
    """
    now = time.time() if now is None else now
    newest = max((granted, *(touched for touched in map(_touched, files) if touched is not None)))
    return ttl_s - (now - min(newest, now))


class Watch:
    """One process's watch over a lease, by a clock that nobody sets as well as by the files' times.

    A wall clock that is set forward ends no lease whose files are touched still, and one that is set back keeps a
    lease that nobody renews for ``_LONGER_S`` more at most.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin now."""
        self._clock = clock
        self._signs: tuple[float, dict[Path, float | None]] | None = None
        self._since = clock()

    def ran_out(self, ttl_s: float, granted: float, files: Iterable[Path], now: float | None = None) -> bool:
        """Tell whether nobody renewed the lease for ``ttl_s``; a new grant or file time is a sign of life."""
        signs = (granted, {file: _touched(file) for file in files})
        if signs != self._signs:
            self._signs, self._since = signs, self._clock()
        silent_s = self._clock() - self._since
        if silent_s < ttl_s:
            return False
        return remaining_s(ttl_s, granted, signs[1], now) <= 0 or silent_s >= ttl_s + _LONGER_S


def _touched(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None
