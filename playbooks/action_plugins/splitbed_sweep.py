"""Run a sweep from ``ansible-playbook sweep.yml``: the driver's Ansible front end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))  # the driver is part of the checkout, not an installed package

from stage_runtime.errors import SplitbedError  # noqa: E402 - needs the line above
from sweep.driver import sweep  # noqa: E402 - see above
from sweep.extra_vars import read_asked  # noqa: E402 - see above
from sweep.options import Options, parse_options  # noqa: E402 - see above
from sweep.play_field import PlayField  # noqa: E402 - see above
from sweep.progress import LineScreen  # noqa: E402 - see above


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """The action ``splitbed_sweep``."""

    _requires_connection = False
    _VALID_ARGS = frozenset[str]()

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the sweep that the extra vars ask for."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            asked = read_asked(self._loader, Options.__struct_fields__)
            status = sweep(
                parse_options(asked.options | ({"dry_run": True} if self._task.check_mode else {})),
                asked.testbed,
                LineScreen(Display().display),
                asked.control,
                command=["ansible-playbook", "sweep.yml", *asked.words],
                field=PlayField(asked.testbed, asked.variables),
            )
        except SplitbedError as exc:
            return result | {"failed": True, "msg": str(exc)}
        if status != 0:
            return result | {"failed": True, "msg": f"the sweep ended with status {status}: see the lines above"}
        return result | {"changed": not self._task.check_mode}
