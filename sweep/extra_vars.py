"""What ``ansible-playbook … -e`` asks of a driver: its options, and variables for the inner plays.

Extra vars that are options are taken as such; those that the inventory or a role knows are handed on
to the inner plays; anything else is refused before anything is touched.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ansible import context
from ansible.parsing.dataloader import DataLoader
from ansible.utils.vars import load_extra_vars

from sweep.errors import OptionError, unknown
from sweep.interrupt import Control
from sweep.inventory import load_testbed, to_plain
from sweep.places import CHECKOUT
from sweep.role_variables import role_variables
from sweep.testbed import Testbed

_PR_SET_PDEATHSIG = 1


class Asked(NamedTuple):
    """Options as given, variables to hand on, the inventory under them, and how the driver is stopped."""

    options: dict[str, Any]
    variables: dict[str, Any]
    testbed: Testbed
    control: Control

    @property
    def words(self) -> list[str]:
        """The command's words, for a record; a variable's value may be a password, an option's is none."""
        told = [f"{name}={value}" for name, value in self.options.items()] + [f"{name}=…" for name in self.variables]
        return [word for one in told for word in ("-e", one)]


def read_asked(loader: DataLoader, names: Iterable[str]) -> Asked:
    """Sort the extra vars of the running play by the driver's option `names`; raises OptionError, InventoryError.

    From here on the process ends with ansible-playbook: a driver that nobody sees must not go on, nor
    hold devices.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = os.getppid()
    known = frozenset(names)
    extra = to_plain(load_extra_vars(loader))
    options = {name: value for name, value in extra.items() if name in known}
    variables = {name: value for name, value in extra.items() if name not in known}
    testbed = load_testbed(_inventory_path(), overrides=variables)
    refuse_unknown(variables, testbed, known)
    control = Control(abandoned=lambda: os.getppid() != parent)
    # What Ctrl-C becomes: playbooks/callback_plugins/gentle_interrupt.py.
    signal.signal(signal.SIGUSR1, lambda _number, _frame: control.interrupt())
    return Asked(options, variables, testbed, control)


def refuse_unknown(variables: Mapping[str, Any], testbed: Testbed, names: Iterable[str]) -> None:
    """Refuse extra vars that are neither options nor variables of the inventory, a role or Ansible."""
    known = testbed.variables | role_variables(CHECKOUT / "roles")
    for name in variables:
        if name not in known and not name.startswith("ansible_"):
            raise OptionError(unknown("extra var", name, names) + "; role variables are accepted too")


def _inventory_path() -> Path:
    sources = context.CLIARGS.get("inventory") or ()
    paths = [Path(source) for source in sources if "," not in source]
    if len(paths) != 1:
        raise OptionError(f"one inventory file is needed, got {list(sources)}; remedy: -i inventory/hosts.yml")
    return paths[0]
