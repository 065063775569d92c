"""Enforce the lease of a link that tc shapes: a small process that outlives the one who shaped it."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable
from pathlib import Path

_POLL_S = 0.5
_TAKE_OVER_S = 3.0


def guard(run_dir: Path, expire: Callable[[Path], bool]) -> None:
    """Call ``expire`` again and again until it says that nothing is left to guard.

    One guard per device is enough: another that is at work makes this one end.  It waits a little
    first, since the other may be about to end.
    """
    with (run_dir / "link.guard").open("wb") as lock:
        deadline = time.monotonic() + _TAKE_OVER_S
        while not _locked(lock.fileno()):
            if time.monotonic() > deadline:
                return
            time.sleep(_POLL_S / 5)
        while expire(run_dir):
            time.sleep(_POLL_S)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
