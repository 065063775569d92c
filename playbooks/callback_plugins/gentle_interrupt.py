"""Let Ctrl-C reach the driver that runs inside ``ansible-playbook sweep.yml``, instead of ending both.

Ansible ends the process of a running task at the first Ctrl-C.  While a driver runs as a task, that process is
told instead: once to stop after the running cell, twice at once, a third time without tidying up.  Once more is
Ansible's own affair again.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from types import FrameType
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: gentle_interrupt
type: aggregate
short_description: lets a sweep finish its running cell on Ctrl-C
description: Does nothing in a play without the tasks splitbed_sweep and splitbed_profile.
"""

_DRIVERS = ("splitbed_sweep", "splitbed_profile")
_SAYS = (
    b"\nstopping after the running cell; Ctrl-C again stops at once\n",
    b"\nstopping at once; Ctrl-C again leaves what runs on the devices to end by itself\n",
    b"\nleaving what runs on the devices to end by itself\n",
)


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible ships no type information
    """Takes SIGINT over when a driver's task starts."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "gentle_interrupt"

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002 - Ansible's own name
        """Hear interrupts from here on, where the task is a driver's."""
        if task.action in _DRIVERS:
            _hear_interrupts()


def _hear_interrupts() -> None:
    ansible = signal.getsignal(signal.SIGINT)
    heard: list[int] = []

    def hear(number: int, _frame: FrameType | None) -> None:
        heard.append(number)
        if len(heard) > len(_SAYS):
            signal.signal(signal.SIGINT, ansible)
            os.kill(os.getpid(), signal.SIGINT)
            return
        with contextlib.suppress(OSError):  # nobody may be left to read it
            os.write(2, _SAYS[len(heard) - 1])
        for worker in multiprocessing.active_children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid or 0, signal.SIGUSR1)

    signal.signal(signal.SIGINT, hear)
