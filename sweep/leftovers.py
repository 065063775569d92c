"""End what runs on devices when a sweep is over: the stages, and the shaping of their links.

A condition's play does so itself when it ends well.  What a play that failed or was stopped left behind is reset here
by ``playbooks/reset.yml``; what cannot be reached ends itself in time.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import psutil

from sweep.errors import CampaignError, PlayError
from sweep.places import WORK
from sweep.plays import run_play

_FOLDER = "reset-"


class Leftovers:
    """On which devices something runs; lanes may tell from threads of their own."""

    def __init__(self, inventory: str, variables: Mapping[str, Any]) -> None:
        self._inventory = inventory
        self._variables = variables
        self._lock = threading.Lock()
        self._devices: dict[str, None] = {}

    def begun(self, devices: Iterable[str]) -> None:
        """Note that a play starts something on devices."""
        with self._lock:
            self._devices.update(dict.fromkeys(devices))

    def ended(self, devices: Iterable[str]) -> None:
        """Note that nothing runs on devices any more."""
        with self._lock:
            for device in devices:
                self._devices.pop(device, None)

    def clear(self, *, owner: str, say: Callable[[str], None], leaving: Callable[[], bool]) -> dict[str, str]:
        """Reset the devices on which something runs, unless `leaving`; give those where that failed, with reasons.

        Of the links, those that `owner` shaped are cleared.  Nothing is kept with the campaign, whose disk may be full.
        """
        devices, self._devices = tuple(self._devices), {}
        if not devices or leaving():
            return dict.fromkeys(devices, "the sweep was stopped at once")
        say(f"stopping stages and clearing links: {', '.join(devices)}")
        _remove_what_killed_resets_left()
        work = WORK / f"{_FOLDER}{os.getpid()}"  # another sweep of this checkout may reset devices of its own
        try:
            result = run_play(
                "reset",
                inventory=self._inventory,
                work=work,
                limit=",".join(devices),
                variables={**self._variables, "reset_hosts": ",".join(devices), "link_shape_owner": owner},
                cancelled=leaving,
            )
        except (CampaignError, PlayError) as exc:
            return dict.fromkeys(devices, str(exc))
        finally:
            shutil.rmtree(work, ignore_errors=True)
        if leaving():
            return dict.fromkeys(devices, "the sweep was stopped at once")
        return {device: reason for device, reason in result.reasons.items() if device in devices}


def _remove_what_killed_resets_left() -> None:
    """Remove the folders of processes that are gone: they may hold the whole environment."""
    for folder in WORK.glob(f"{_FOLDER}*"):
        if not psutil.pid_exists(int(folder.name.removeprefix(_FOLDER))):
            shutil.rmtree(folder, ignore_errors=True)
