"""Run one cell: call the control command on the first device, hand back its measurement.

The command runs by the connection itself, without a module: on a device with half a core a
module costs more than many a cell.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

_LONGEST_REASON = 500


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """The action ``splitbed_cell``."""

    _requires_connection = True
    _VALID_ARGS = frozenset({"cell", "python", "runtime", "socket", "stop_file", "driver_pid", "worlds"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the cell unless the sweep is to stop; one that fails fails no task, one that lost a device is the last.

        ``worlds`` is what each stage said of its RPC world: where one is not up, cells whose stages talk over RPC are
        refused without asking the stage.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self._task.args
        cell = arguments["cell"]
        result["cell_id"], result["repeat"] = cell["cell_id"], cell["repeat"]
        if self._task.check_mode or Path(arguments["stop_file"]).exists() or not _alive(int(arguments["driver_pid"])):
            return result | {"skipped": True, "skip_reason": "the sweep stops here"}
        talks = cell["transport"] == "rpc" and len(cell["stages"]) > 1
        missing = _missing_world(arguments["worlds"]) if talks else None
        if missing is not None:
            return result | {"changed": False, "refused": True, "measurement": missing}
        measurement = self._measure(cell, arguments)
        if measurement.get("lost"):
            Path(arguments["stop_file"]).touch()  # the cells behind it would only wait for what is gone
        return result | {"changed": True, "measurement": measurement}

    def _measure(self, cell: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
        encoded = base64.b64encode(json.dumps(cell).encode()).decode()
        control = f"{arguments['runtime']}/stage_runtime/control.py"
        command = shlex.join(
            [arguments["python"], "-I", "-S", control, "--socket", arguments["socket"], "run", encoded]
        )
        first = cell["stages"][0]["device"]
        try:
            answer = self._low_level_execute_command(command, sudoable=False)
        except AnsibleConnectionFailure as exc:
            return _failure(first, f"{first} is unreachable: {exc}") | {"lost": True}
        try:
            measurement = json.loads(answer["stdout"].strip().splitlines()[-1])
        except (ValueError, IndexError):
            said = (answer.get("stderr", "") + answer["stdout"]).strip()[-_LONGEST_REASON:]
            return _failure(first, f"the control command on {first} ended with {answer['rc']}: {said}")
        if not isinstance(measurement, dict) or "status" not in measurement:
            return _failure(first, f"the stage on {first} answered {measurement}")
        return measurement


def _missing_world(worlds: Mapping[str, str]) -> dict[str, Any] | None:
    """Give what a cell over RPC is to answer where a stage is not in its world; None where all are."""
    reasons = {device: _why_no_world(said) for device, said in worlds.items()}
    bad = {device: reason for device, reason in reasons.items() if reason}
    if not bad:
        return None
    told = "; ".join(f"{device}: {reason}" for device, reason in bad.items())
    return _failure(next(iter(bad)), f"the RPC world is not up: {told}")


def _why_no_world(said: str) -> str:
    """Read what the control command said; empty where the stage's world is up."""
    try:
        world = json.loads(said.strip().splitlines()[-1])["world"]
        return "" if world["state"] == "up" else str(world["reason"] or world["state"])
    except (ValueError, IndexError, KeyError, TypeError):
        return f"the stage does not tell how its world is: {said.strip()[-_LONGEST_REASON:] or 'it says nothing'}"


def _failure(device: str, reason: str) -> dict[str, Any]:
    return {"status": "failed", "failed_device": device, "reason": reason}


def _alive(pid: int) -> bool:
    """Tell whether the driver still lives; without it nobody would note the result."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
