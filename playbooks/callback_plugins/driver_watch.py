"""End an inner play with the driver that runs it.

ansible-runner makes its plays deaf to the terminal's hang-up, so one whose driver was killed would try to
write to a terminal that is gone, for ever.  The kernel is asked to end it with its parent instead.  So are
the processes that the play forks for its tasks: one that still has results to hand over when the play is gone would
wait for ever for a reader of its pipe, of which it holds both ends itself.
"""

from __future__ import annotations

import ctypes
import os
import signal

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: driver_watch
type: aggregate
short_description: ends a play with the driver that runs it
description: Does nothing where SPLITBED_DRIVER_PID is not set, as in a play that a user runs.
"""

_PR_SET_PDEATHSIG = 1


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible ships no type information
    """Ask the kernel when the play's process loads its callbacks, and again in each process that it forks."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "driver_watch"

    def __init__(self) -> None:
        super().__init__()
        driver = os.environ.get("SPLITBED_DRIVER_PID")
        if driver is None:
            return
        _end_with(int(driver))
        forking: list[int] = [0]
        os.register_at_fork(
            before=lambda: forking.__setitem__(0, os.getpid()), after_in_child=lambda: _end_with(forking[0])
        )


def _end_with(parent: int) -> None:
    """Have this process killed when `parent` ends, at once if it has ended already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
