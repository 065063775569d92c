"""Run a sweep from ``ansible-playbook sweep.yml``: the driver's Ansible front end.

Extra vars that are options of the sweep are taken as such; those that the inventory or a role
knows are handed on to the inner plays; anything else is refused before anything is touched.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import context
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible.utils.vars import load_extra_vars

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))  # the driver is part of the checkout, not an installed package

from stage_runtime.errors import SplitbedError  # noqa: E402 - needs the line above
from sweep.driver import sweep  # noqa: E402
from sweep.errors import OptionError, unknown  # noqa: E402
from sweep.interrupt import Control  # noqa: E402
from sweep.inventory import load_testbed, to_plain  # noqa: E402
from sweep.options import Options, parse_options  # noqa: E402
from sweep.play_field import PlayField  # noqa: E402
from sweep.progress import LineScreen  # noqa: E402
from sweep.role_variables import role_variables  # noqa: E402
from sweep.testbed import Testbed  # noqa: E402

_PR_SET_PDEATHSIG = 1


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """The action ``splitbed_sweep``."""

    _requires_connection = False
    _VALID_ARGS = frozenset[str]()

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the sweep that the extra vars ask for."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _die_with_parent()
        extra = to_plain(load_extra_vars(self._loader))
        parent = os.getppid()
        try:
            options = {name: value for name, value in extra.items() if name in Options.__struct_fields__}
            variables = {name: value for name, value in extra.items() if name not in options}
            testbed = load_testbed(_inventory_path(), overrides=variables)
            refuse_unknown(variables, testbed)
            status = sweep(
                parse_options(options | ({"dry_run": True} if self._task.check_mode else {})),
                testbed,
                LineScreen(Display().display),
                Control(abandoned=lambda: os.getppid() != parent),
                command=["ansible-playbook", "sweep.yml", *_as_words(options, variables)],
                field=PlayField(testbed, variables),
            )
        except SplitbedError as exc:
            return result | {"failed": True, "msg": str(exc)}
        if status != 0:
            return result | {"failed": True, "msg": f"the sweep ended with status {status}: see the lines above"}
        return result | {"changed": not self._task.check_mode}


def refuse_unknown(variables: Mapping[str, Any], testbed: Testbed) -> None:
    """Refuse extra vars that are neither options nor variables of the inventory, a role or Ansible."""
    known = testbed.variables | role_variables(CHECKOUT / "roles")
    for name in variables:
        if name not in known and not name.startswith("ansible_"):
            raise OptionError(
                unknown("extra var", name, Options.__struct_fields__) + "; role variables are accepted too"
            )


def _inventory_path() -> Path:
    sources = context.CLIARGS.get("inventory") or ()
    paths = [Path(source) for source in sources if "," not in source]
    if len(paths) != 1:
        raise OptionError(f"a sweep takes one inventory file, got {list(sources)}; remedy: -i inventory/hosts.yml")
    return paths[0]


def _as_words(options: Mapping[str, Any], variables: Mapping[str, Any]) -> list[str]:
    """Write the command for the campaign's record; a variable's value may be a password, an option's is none."""
    told = [f"{name}={value}" for name, value in options.items()] + [f"{name}=…" for name in variables]
    return [word for one in told for word in ("-e", one)]


def _die_with_parent() -> None:
    """End with ansible-playbook: a sweep that nobody sees must not go on, nor hold the campaign."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
