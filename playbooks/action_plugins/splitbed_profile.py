"""Profile blocks from ``ansible-playbook profile.yml``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))  # the driver is part of the checkout, not an installed package

from stage_runtime.errors import SplitbedError  # noqa: E402 - needs the line above
from sweep.extra_vars import read_asked  # noqa: E402 - see above
from sweep.profile import profile  # noqa: E402 - see above
from sweep.profile_options import PROFILE_OPTIONS, parse_profile_options  # noqa: E402 - see above
from sweep.progress import LineScreen  # noqa: E402 - see above


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """The action ``splitbed_profile``."""

    _requires_connection = False
    _VALID_ARGS = frozenset[str]()

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Profile what the extra vars ask for."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            asked = read_asked(self._loader, PROFILE_OPTIONS)
            status = profile(
                parse_profile_options(asked.options | ({"dry_run": True} if self._task.check_mode else {})),
                asked.testbed,
                LineScreen(Display().display),
                asked.control,
                variables=asked.variables,
            )
        except SplitbedError as exc:
            return result | {"failed": True, "msg": str(exc)}
        if status != 0:
            return result | {"failed": True, "msg": f"profiling ended with status {status}: see the lines above"}
        return result | {"changed": not self._task.check_mode}
