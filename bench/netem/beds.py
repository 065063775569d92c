"""Two pairs of hosts that plays and SSH reach alike: namespaces of the netem guest, and virtual devices."""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.netem.guest import Guest, running_guest
from bench.own_devices import whole_cores
from bench.testbed import PLAY_TIMEOUT_S, PROJECT, PYTHON, BenchError, VirtualTestbed, ssh_command, virtual_testbed

NAMES = ("a", "b")
_PREFIX, _SUBNETS = "sbG", "10.217"
# The guest's hosts share their files, and have a home each: whoever guards a link finds its own state alone there.
_GUEST_RUNTIME = "/root/runtime"
_GUEST_HOMES = {name: f"/root/{name}/splitbed" for name in NAMES}
_OWNER = "netem"
# As long as a measurement may take by the hosts' clock; the links are cleared before.
_LEASE_S = 600


@dataclass(frozen=True, kw_only=True)
class GuestTestbed(VirtualTestbed):
    """The hosts of a guest that runs, as an inventory of real devices names them."""

    guest: Guest

    @property
    def checkout(self) -> str:
        """Give the folder of a host that commands run in: the runtime that the role put there."""
        return _GUEST_RUNTIME

    def ssh_words(self, name: str) -> list[str]:
        """Give the words of the command that logs in to a host; the remote command follows."""
        image = self.guest.image
        options: dict[str, str | int] = {
            "HostKeyAlias": name,
            "Port": self.guest.ports[name],
            "ControlPath": str(self.folder / f"ssh-{name}"),
        }
        return [*ssh_command(image / "id_ed25519", image / "known_hosts", **options), "root@127.0.0.1"]

    @contextlib.contextmanager
    def connected(self) -> Iterator[None]:
        """Keep a connection to each host open, which commands share: an emulated processor is slow to agree on keys."""
        try:
            for name in self.names:
                if self._ssh(name, "-M", "-N", "-f"):
                    raise BenchError(f"the guest's host {name} cannot be logged in to; its console: {self.folder}")
            yield
        finally:
            for name in self.names:
                self._ssh(name, "-O", "exit")

    def _ssh(self, name: str, *words: str) -> int:
        nowhere = subprocess.DEVNULL
        command = [*self.ssh_words(name), *words]
        return subprocess.run(command, stdout=nowhere, stderr=nowhere, timeout=PLAY_TIMEOUT_S, check=False).returncode


@dataclass(frozen=True, kw_only=True)
class Bed:
    """Two hosts with the runtime on them; ``kernel`` and ``backend`` say what is to shape the link between them."""

    hosts: VirtualTestbed
    python: str
    homes: Mapping[str, str]
    kernel: str
    backend: str

    def shape(self, network: str, conditions: Mapping[str, Mapping[str, Any]], *arguments: str) -> str:
        """Have the role put a condition in force and check it; give the play's output, BenchError where it fails."""
        done = self.hosts.play(
            "playbooks/link.yml",
            *arguments,
            link_devices=list(NAMES),
            link_network=network,
            link_owner=_OWNER,
            link_shape_networks=dict(conditions),
            link_shape_ttl_s=_LEASE_S,
        )
        return done.stdout

    def clear(self) -> str:
        """Have the role take the condition off; give the play's output."""
        tasks = [{"ansible.builtin.include_role": {"name": "link_shape", "tasks_from": "clear"}}]
        play = self.hosts.folder / "clear.json"
        play.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
        return self.hosts.play(str(play), link_shape_owner=_OWNER).stdout

    def run_dir(self, name: str) -> str:
        """Give the folder of a host's lease and state."""
        return f"{self.homes[name]}/run"


@contextlib.contextmanager
def netem_bed(folder: Path) -> Iterator[Bed]:
    """Boot the guest for the time of a ``with`` block, with the runtime on its hosts."""
    with running_guest(folder / "console.log") as guest:
        hosts = _write_guest_inventory(folder, guest)
        bed = Bed(
            hosts=hosts,
            python="/usr/bin/python3",
            homes=_GUEST_HOMES,
            kernel=guest.kernel,
            backend="tc",
        )
        with hosts.connected():
            _put_runtime(bed)
            yield bed


@contextlib.contextmanager
def emulator_bed(folder: Path) -> Iterator[Bed]:
    """Bring two virtual devices up for the time of a ``with`` block, with the link emulator between them."""
    # The emulator is held against netem, not against a device's quota.
    devices = dict(zip(NAMES, whole_cores(len(NAMES), sorted(os.sched_getaffinity(0))).values(), strict=True))
    backend = {"virtual_device_link_backend": "user"}
    with virtual_testbed(folder, prefix=_PREFIX, networks=_SUBNETS, devices=devices, variables=backend) as hosts:
        hosts.play("playbooks/provision.yml")
        homes = {name: str(hosts.root / name / "splitbed") for name in NAMES}
        yield Bed(hosts=hosts, python=PYTHON, homes=homes, kernel=platform.release(), backend="user")


def _put_runtime(bed: Bed) -> None:
    """Put links and what it needs on the guest's hosts.

    Not by the role: an emulated processor takes a minute for each of Ansible's modules.  Compiled, since the commands
    on a device write no compiled files.
    """
    name = NAMES[0]
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for package in ("links", "stage_runtime"):
            archive.add(PROJECT / package, package, filter=lambda entry: None if "__pycache__" in entry.name else entry)
    homes = " ".join(bed.homes.values())
    unpack = (
        f"for home in {homes}; do mkdir -p $home/run && ln -s {_GUEST_RUNTIME} $home/runtime || exit 1; done; "
        f"mkdir {_GUEST_RUNTIME} && cd {_GUEST_RUNTIME} && tar -x && {bed.python} -m compileall -q links"
    )
    done = subprocess.run(
        [*bed.hosts.ssh_words(name), unpack],
        input=content.getvalue(),
        capture_output=True,
        timeout=PLAY_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"the guest did not take the runtime: {done.stderr.decode(errors='replace').strip()}")


def _write_guest_inventory(folder: Path, guest: Guest) -> GuestTestbed:
    bed = GuestTestbed(folder=folder, prefix="netem", names=NAMES, networks=_SUBNETS, guest=guest)
    shutil.copytree(PROJECT / "inventory" / "group_vars", folder / "inventory" / "group_vars")
    hosts = {
        name: {"ansible_host": "127.0.0.1", "ansible_port": guest.ports[name], "data_address": bed.data_address(name)}
        for name in NAMES
    }
    own = {
        "ansible_user": "root",
        "ansible_python_interpreter": "/usr/bin/python3",
        "device_home": "/root/{{ inventory_hostname }}/splitbed",
        "device_python": "/usr/bin/python3",
        "ansible_ssh_common_args": (
            f"-o 'IdentityFile=\"{guest.image / 'id_ed25519'}\"' -o IdentitiesOnly=yes -o IdentityAgent=none"
            f" -o 'UserKnownHostsFile=\"{guest.image / 'known_hosts'}\"' -o GlobalKnownHostsFile=/dev/null"
            " -o StrictHostKeyChecking=yes -o HostKeyAlias={{ inventory_hostname }}"
        ),
    }
    # The files of group_vars/all win over the inventory file, and the last of them over the others.
    (folder / "inventory" / "group_vars" / "all" / "zz_own.yml").write_text(json.dumps(own, indent=2))
    bed.inventory.write_text(json.dumps({"all": {"children": {"pis": {"hosts": hosts}}}}, indent=2))
    return bed
