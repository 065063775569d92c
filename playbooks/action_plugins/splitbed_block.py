"""Wait for the next block of cells: the driver writes it once every cell of the one before has answered.

So each block holds what is still wanted by all that was measured before it, and a cell that has been
run often enough costs the play nothing.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

_POLL_S = 0.02


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """The action ``splitbed_block``."""

    _requires_connection = False
    _VALID_ARGS = frozenset({"file", "stop_file", "driver_pid"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Answer with ``wanted``: whether the block's file is there; it never is once the sweep is to stop."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        block, stop = Path(self._task.args["file"]), Path(self._task.args["stop_file"])
        driver = Path(f"/proc/{int(self._task.args['driver_pid'])}")
        while not (self._task.check_mode or stop.exists() or not driver.exists()):
            if block.exists():
                return result | {"changed": False, "wanted": True}
            time.sleep(_POLL_S)
        return result | {"changed": False, "wanted": False}
