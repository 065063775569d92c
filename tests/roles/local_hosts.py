"""Hosts that are folders of this machine, so that role tests need neither SSH nor namespaces.

``LocalHosts`` runs plays over the local connection with ``device_home`` in a temporary folder, and
says what the recap says.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent.parent
ANSIBLE_PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"
_RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Played:
    """One run of ansible-playbook: its exit status, its output, and the recap's counts by host."""

    status: int
    output: str

    @property
    def changed(self) -> dict[str, int]:
        """Give how many tasks changed something, by host."""
        return {host: int(changed) for host, _, changed, _, _ in _RECAP.findall(self.output)}

    @property
    def message(self) -> str:
        """Give the output with its line breaks and indentation folded, to search messages in."""
        return " ".join(self.output.split())

    def task_ran(self, name: str) -> bool:
        """Say whether a task was reached that was not skipped on every host."""
        sections = self.output.split("\nTASK [")
        return any(
            section.split("]")[0].endswith(name) and re.search(r"^(ok|changed|fatal|failed): ", section, re.MULTILINE)
            for section in sections
        )


class LocalHosts:
    """An inventory of local hosts ``names`` whose device folders lie below ``folder``."""

    def __init__(self, folder: Path, names: tuple[str, ...] = ("d1",), **variables: Any) -> None:
        """Write the inventory; ``variables`` hold for every host."""
        self.folder = folder
        hosts = {name: {"device_home": str(self.home(name))} for name in names}
        common = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "device_python": "{{ device_home }}/venv/bin/python",
            **variables,
        }
        self.inventory = folder / "hosts.json"
        self.inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": common}}))

    def home(self, name: str = "d1") -> Path:
        """Give a host's device_home."""
        return self.folder / name / "splitbed"

    def role(self, role: str, *, tasks_from: str = "main", check_mode: bool = False, **variables: Any) -> Played:
        """Run one entry point of a role on every host."""
        play = [
            {
                "hosts": "all",
                "gather_facts": False,
                "tasks": [{"ansible.builtin.include_role": {"name": role, "tasks_from": tasks_from}}],
            }
        ]
        playbook = self.folder / f"{role}-{tasks_from}.json"
        playbook.write_text(json.dumps(play))
        return self.play(playbook, check_mode=check_mode, variables=variables)

    def play(self, playbook: Path, *, check_mode: bool = False, variables: Mapping[str, Any] | None = None) -> Played:
        """Run a playbook on every host."""
        done = subprocess.run(
            [
                str(ANSIBLE_PLAYBOOK),
                "-i",
                str(self.inventory),
                str(playbook),
                *(["--check"] if check_mode else []),
                *(["-e", json.dumps(variables)] if variables else []),
            ],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        )
        return Played(status=done.returncode, output=done.stdout + done.stderr)
