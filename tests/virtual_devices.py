"""Virtual devices for integration tests: an inventory of one's own, brought up and taken down.

``virtual_testbed`` copies the shipped group variables beside an inventory with its own prefix and
networks, so a test never touches the devices of a user or of another test::

    from tests.virtual_devices import virtual_testbed

    @pytest.fixture(scope="module")
    def devices(tmp_path_factory):
        folder = tmp_path_factory.mktemp("devices")
        two = {"a": {}, "b": {"virtual_cpus": 0.25}}
        with virtual_testbed(folder, prefix="sbX", networks="10.217", devices=two) as bed:
            yield bed

    def test_something(devices):
        devices.play("playbooks/provision.yml")          # raises with the output where it fails
        devices.inventory                                # the path for `-i`
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parent.parent
ANSIBLE = Path(sys.executable).parent
SMALL = {"virtual_cpus": 0.5, "virtual_cores": "0", "virtual_memory_mb": 512}
PLAY_TIMEOUT_S = 300


@dataclass(frozen=True, kw_only=True)
class VirtualTestbed:
    """An inventory of virtual devices; its devices' addresses are ``<networks>.0/1.<11…>``."""

    folder: Path
    prefix: str
    names: tuple[str, ...]

    @property
    def inventory(self) -> Path:
        """Give the path that ``-i`` takes."""
        return self.folder / "inventory" / "hosts.json"

    @property
    def root(self) -> Path:
        """Give the folder that holds each device's working directory."""
        return self.folder / "virtual"

    def play(
        self, playbook: str, *arguments: str, check: bool = True, **extra_vars: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the project on this inventory; fail the test where it fails."""
        given = ["-e", json.dumps(extra_vars)] if extra_vars else []
        return self._run(["ansible-playbook", playbook, *given, *arguments], check=check)

    def ansible(
        self, hosts: str, module: str, arguments: str = "", *, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run one module on some hosts; fail the test where it fails."""
        given = ["-a", arguments] if arguments else []
        return self._run(["ansible", hosts, "-m", module, *given], check=check)

    def _run(self, words: Sequence[str], *, check: bool) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [ANSIBLE / words[0], "-i", self.inventory, *words[1:]],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
            timeout=PLAY_TIMEOUT_S,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_DEPRECATION_WARNINGS": "0"},
        )
        if check and done.returncode:
            pytest.fail(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done


def write_inventory(
    folder: Path,
    *,
    prefix: str,
    networks: str,
    devices: Mapping[str, Mapping[str, Any]],
    variables: Mapping[str, Any] | None = None,
) -> VirtualTestbed:
    """Write an inventory of virtual devices with the shipped group variables beside it.

    ``networks`` are the first two numbers of the addresses: management is ``.0.0/24``, data is
    ``.1.0/24``.  ``devices`` maps each name to what differs from ``SMALL``; ``variables`` hold
    for all of them.
    """
    bed = VirtualTestbed(folder=folder, prefix=prefix, names=tuple(devices))
    shutil.copytree(PROJECT / "inventory" / "group_vars", folder / "inventory" / "group_vars")
    hosts = {
        name: {
            "device_kind": "virtual",
            "ansible_host": f"{networks}.0.{11 + number}",
            "data_address": f"{networks}.1.{11 + number}",
            **SMALL,
            **own,
        }
        for number, (name, own) in enumerate(devices.items())
    }
    own_vars = {
        "virtual_device_prefix": prefix,
        "virtual_device_management_network": f"{networks}.0.0/24",
        "virtual_device_data_network": f"{networks}.1.0/24",
        "virtual_device_root": str(bed.root),
        **(variables or {}),
    }
    # The files of group_vars/all win over the inventory file, and the last of them over the others.
    (folder / "inventory" / "group_vars" / "all" / "zz_own.yml").write_text(json.dumps(own_vars, indent=2))
    content = {"all": {"children": {"pis": {"hosts": hosts}}}}
    bed.inventory.write_text(json.dumps(content, indent=2))
    return bed


@contextmanager
def virtual_testbed(
    folder: Path,
    *,
    prefix: str,
    networks: str,
    devices: Mapping[str, Mapping[str, Any]],
    variables: Mapping[str, Any] | None = None,
) -> Iterator[VirtualTestbed]:
    """Bring virtual devices up for the time of a ``with`` block; see :func:`write_inventory`."""
    bed = write_inventory(folder, prefix=prefix, networks=networks, devices=devices, variables=variables)
    try:
        bed.play("playbooks/virtual_up.yml")
        yield bed
    finally:
        bed.play("playbooks/virtual_down.yml")
