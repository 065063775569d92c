"""Go on in the background, beyond the end of the session that began it."""

from __future__ import annotations

import logging
import os
import resource
from collections.abc import Callable, Sequence
from pathlib import Path

_FIRST_DESCRIPTOR = 3
_LOG = logging.getLogger(__name__)


def start_in_background(
    action: Callable[[], object],
    *,
    log: Path | None = None,
    keep: Sequence[int] = (),
    as_owner_of: Path | None = None,
) -> None:
    """Run ``action`` in a process of its own session, without a terminal; return at once.

    What it logs goes to ``log`` (made with mode 0600) or nowhere.  It inherits the descriptors in
    ``keep`` and no other: a lock that the caller holds would otherwise be held for good.  Where root
    calls, it is the user who owns ``as_owner_of``.  The caller never waits for it and leaves no zombie: the process
    belongs to init.
    """
    child = os.fork()
    if child == 0:
        _run_detached(action, log, keep, as_owner_of)
    os.waitpid(child, 0)


def _run_detached(
    action: Callable[[], object], log: Path | None, keep: Sequence[int], as_owner_of: Path | None
) -> None:
    status = 1
    try:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        os.chdir("/")
        _close_all_but(keep)
        _redirect(log)
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
        if as_owner_of is not None and os.geteuid() == 0:
            _become(as_owner_of.stat())
        action()
        status = 0
    except Exception:  # noqa: BLE001  (logged; the process ends with status 1)
        _LOG.exception("a background process ended")
    finally:
        os._exit(status)


def _become(owner: os.stat_result) -> None:
    os.setgroups([])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)


def _close_all_but(keep: Sequence[int]) -> None:
    first = _FIRST_DESCRIPTOR
    for descriptor in sorted(keep):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _redirect(log: Path | None) -> None:
    source = os.open(os.devnull, os.O_RDONLY)
    target = os.devnull if log is None else str(log)
    output = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number, descriptor in ((0, source), (1, output), (2, output)):
        os.dup2(descriptor, number)
