"""Virtual devices of one's own, brought up and taken down by the project's plays.

The shipped group variables are copied beside an inventory with its own prefix and networks, so that the
devices of a user, a benchmark or a test never meet::

    with virtual_testbed(folder, prefix="bench", networks="10.220", devices={"a": {}, "b": {}}) as bed:
        bed.play("playbooks/provision.yml")              # raises BenchError with the output where it fails
        bed.link(("a", "b"), "lan")                      # shaped and checked, as in a sweep
        with bed.start("b", [PYTHON, "-m", "…"]):
            answer = last_json(bed.run("a", [PYTHON, "-m", "…"]))
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stage_runtime.errors import SplitbedError

PROJECT = Path(__file__).resolve().parent.parent
ANSIBLE = Path(sys.executable).parent
PYTHON = sys.executable
SMALL = {"virtual_cpus": 0.5, "virtual_cores": "0", "virtual_memory_mb": 512}
PLAY_TIMEOUT_S = 300
FIRST_ADDRESS = 11
# No stage renews the lease of a benchmark's links; the devices are gone before it ends.
_LINK_TTL_S = 4 * 3600

# What a benchmark's links do beside the shipped conditions: the rates that figures are asked for at, without the
# delay of a far network.
NETWORKS: dict[str, dict[str, Any]] = {
    "lan": {"rate_mbit": 1000, "delay_ms": 0.2},
    "mbit100": {"rate_mbit": 100, "delay_ms": 0.2},
    "mbit5": {"rate_mbit": 5, "delay_ms": 0.2},
    "far": {"rate_mbit": 5, "delay_ms": 200},
}


class BenchError(SplitbedError):
    """A benchmark cannot go on; the message holds what the failing program said."""


@dataclass(frozen=True, kw_only=True)
class VirtualTestbed:
    """An inventory of virtual devices; its devices' addresses are ``<networks>.<third>/<third + 1>.<11…>``."""

    folder: Path
    prefix: str
    names: tuple[str, ...]
    networks: str
    third: int = 0

    @property
    def inventory(self) -> Path:
        """Give the path that ``-i`` takes."""
        return self.folder / "inventory" / "hosts.json"

    @property
    def checkout(self) -> str:
        """Give the folder of a device that commands run in."""
        return str(PROJECT)

    @property
    def root(self) -> Path:
        """Give the folder that holds each device's working directory."""
        return self.folder / "virtual"

    def data_address(self, name: str) -> str:
        """Give the address that a device's stages talk over."""
        return self._address(1, name)

    def play(
        self, playbook: str, *arguments: str, check: bool = True, **extra_vars: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the project on this inventory; BenchError where it fails."""
        given = ["-e", json.dumps(extra_vars)] if extra_vars else []
        return self._run(["ansible-playbook", playbook, *given, *arguments], check=check)

    def ansible(
        self, hosts: str, module: str, arguments: str = "", *, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run one module on some hosts; BenchError where it fails."""
        given = ["-a", arguments] if arguments else []
        return self._run(["ansible", hosts, "-m", module, *given], check=check)

    def link(self, chain: Sequence[str], network: str, **conditions: Mapping[str, Any]) -> None:
        """Shape and check the links of a chain; ``network`` names one of ``NETWORKS``, or of ``conditions``."""
        self.play(
            "playbooks/link.yml",
            link_devices=list(chain),
            link_network=network,
            link_shape_networks=NETWORKS | conditions,
            link_shape_ttl_s=_LINK_TTL_S,
        )

    def run(self, name: str, words: Sequence[str], timeout_s: float = PLAY_TIMEOUT_S) -> str:
        """Run a command in the checkout on a device and give what it printed; BenchError where it fails."""
        with self.start(name, words) as process:
            return finish(process, f"{name}: `{shlex.join(words)}`", timeout_s)

    @contextmanager
    def start(
        self, name: str, words: Sequence[str], *, stdin: int = subprocess.DEVNULL
    ) -> Iterator[subprocess.Popen[str]]:
        """Start a command in the checkout on a device, over SSH alone: Ansible polls while it waits.

        ``stdin`` PIPE lets the caller speak to it.  Leaving the block lets go of it; what does not end by itself
        then ends with the device.
        """
        command = f"cd {shlex.quote(self.checkout)} && exec {shlex.join(words)}"
        process = subprocess.Popen(
            [*self.ssh_words(name), command],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def ssh_words(self, name: str) -> list[str]:
        """Give the words of the command that logs in to a device; the remote command follows."""
        keys = self.folder / ".splitbed" / "ssh"
        known_hosts = keys / "known_hosts" / f"{self.prefix}-{name}"
        return [*ssh_command(keys / "id_ed25519", known_hosts), f"root@{self._address(0, name)}"]

    def _address(self, network: int, name: str) -> str:
        return f"{self.networks}.{self.third + network}.{FIRST_ADDRESS + self.names.index(name)}"

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
            raise BenchError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done


def ssh_command(key: Path, known_hosts: Path, **more: str | int) -> list[str]:
    """Give the words of an SSH that knows this key, these host keys and nothing of the user's; ``more`` are options."""
    options = {
        "IdentityFile": key,
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "UserKnownHostsFile": known_hosts,
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "BatchMode": "yes",
        **more,
    }
    return ["ssh", *(word for option, value in options.items() for word in ("-o", f'{option}="{value}"'))]


def finish(process: subprocess.Popen[str], what: str, timeout_s: float) -> str:
    """Wait for a command's end and give what it printed; BenchError, which begins with ``what``, where it fails."""
    try:
        said, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired as exc:
        raise BenchError(f"{what} took more than {timeout_s:g} s") from exc
    if process.returncode:
        raise BenchError(f"{what} ended with {process.returncode}:\n{said}")
    return said


def last_json(said: str) -> Any:
    """Give the JSON value in the last line that a command printed; BenchError where there is none."""
    lines = said.strip().splitlines()
    try:
        return json.loads(lines[-1])
    except (IndexError, ValueError) as exc:
        raise BenchError(f"a command was to print JSON and said: {said.strip() or 'nothing'}") from exc


def write_inventory(
    folder: Path,
    *,
    prefix: str,
    networks: str,
    devices: Mapping[str, Mapping[str, Any]],
    variables: Mapping[str, Any] | None = None,
    third: int = 0,
) -> VirtualTestbed:
    """Write an inventory of virtual devices with the shipped group variables beside it.

    ``networks`` are the first two numbers of the addresses, and ``third`` the third: management is ``.0.0/24``, data
    is the next, ``.1.0/24``.  ``devices`` maps each name to what differs from ``SMALL``; ``variables`` hold
    for all of them.
    """
    bed = VirtualTestbed(folder=folder, prefix=prefix, names=tuple(devices), networks=networks, third=third)
    management, data = f"{networks}.{third}", f"{networks}.{third + 1}"
    shutil.copytree(PROJECT / "inventory" / "group_vars", folder / "inventory" / "group_vars")
    hosts = {
        name: {
            "device_kind": "virtual",
            "ansible_host": f"{management}.{FIRST_ADDRESS + number}",
            "data_address": f"{data}.{FIRST_ADDRESS + number}",
            **SMALL,
            **own,
        }
        for number, (name, own) in enumerate(devices.items())
    }
    own_vars = {
        "virtual_device_prefix": prefix,
        "virtual_device_management_network": f"{management}.0/24",
        "virtual_device_data_network": f"{data}.0/24",
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
    third: int = 0,
) -> Iterator[VirtualTestbed]:
    """Bring virtual devices up for the time of a ``with`` block; see :func:`write_inventory`."""
    bed = write_inventory(folder, prefix=prefix, networks=networks, devices=devices, variables=variables, third=third)
    try:
        bed.play("playbooks/virtual_up.yml")
        yield bed
    finally:
        bed.play("playbooks/virtual_down.yml")
