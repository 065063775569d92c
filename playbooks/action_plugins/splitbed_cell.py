"""Run one cell: call the control command on the first device, hand back its measurement.

The command runs by the connection itself, without a module: on a device with half a core a
module costs more than many a cell.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

_LONGEST_REASON = 500


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """The action ``splitbed_cell``."""

    _requires_connection = True
    _VALID_ARGS = frozenset({"cell", "python", "runtime", "socket", "stop_file", "driver_pid"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the cell unless the sweep is to stop; a cell that fails does not fail the task."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self._task.args
        cell = arguments["cell"]
        result["cell_id"], result["repeat"] = cell["cell_id"], cell["repeat"]
        if self._task.check_mode or Path(arguments["stop_file"]).exists() or not _alive(int(arguments["driver_pid"])):
            return result | {"skipped": True, "skip_reason": "the sweep stops here"}
        return result | {"changed": True, "measurement": self._measure(cell, arguments)}

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
            return _failure(first, f"{first} is unreachable: {exc}")
        try:
            measurement = json.loads(answer["stdout"].strip().splitlines()[-1])
        except (ValueError, IndexError):
            said = (answer.get("stderr", "") + answer["stdout"]).strip()[-_LONGEST_REASON:]
            return _failure(first, f"the control command on {first} ended with {answer['rc']}: {said}")
        if not isinstance(measurement, dict) or "status" not in measurement:
            return _failure(first, f"the stage on {first} answered {measurement}")
        return measurement


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
