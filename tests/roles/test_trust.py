"""playbooks/trust.yml makes real devices' host keys known once, and only those that somebody vouched for."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.roles.local_hosts import PROJECT, LocalHosts

# sshd as root needs /run/sshd, which integration tests make
pytestmark = pytest.mark.integration
TRUST = PROJECT / "playbooks" / "trust.yml"


class Sshd:
    """An sshd with a key of its own, at which nobody can log in."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.key = folder / "host_key"
        self.port = _free_port()
        self.new_key()
        config = folder / "sshd_config"
        config.write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {self.key}\nPidFile none\n"
            f"AuthorizedKeysFile {folder / 'nobody'}\nPasswordAuthentication no\nUsePAM no\n"
        )
        Path("/run/sshd").mkdir(exist_ok=True)
        sshd = shutil.which("sshd", path="/usr/sbin:/usr/bin")
        assert sshd is not None
        self.process = subprocess.Popen([sshd, "-D", "-f", str(config)])
        end = time.monotonic() + 30
        while not _answers(self.port):
            assert time.monotonic() < end
            time.sleep(0.05)

    def new_key(self) -> None:
        self.key.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)  # noqa: S607 - wherever it lies

    @property
    def fingerprint(self) -> str:
        told = ["ssh-keygen", "-lf", f"{self.key}.pub"]
        return subprocess.run(told, check=True, capture_output=True, text=True).stdout.split()[1]


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    made = Sshd(tmp_path / "sshd")
    yield made
    made.process.terminate()
    made.process.wait()


def test_a_key_is_known_once_somebody_vouched_for_it(tmp_path: Path, sshd: Sshd) -> None:
    known = tmp_path / "ssh" / "known_hosts"
    hosts = LocalHosts(tmp_path, ("d1", "v1"), device_kind="pi", ansible_host="127.0.0.1", ansible_port=sshd.port)
    content = json.loads(hosts.inventory.read_text())
    content["all"]["hosts"]["v1"] |= {"device_kind": "virtual", "ansible_port": 1}
    hosts.inventory.write_text(json.dumps(content))
    told = {"trust_known_hosts": str(known)}

    nobody = hosts.play(TRUST, variables=told)
    assert nobody.status != 0
    assert f"d1: its key {sshd.fingerprint} is not trusted: nobody typed yes" in nobody.message
    assert not known.exists()

    wrong = hosts.play(TRUST, variables=told | {"trust_fingerprints": {"d1": "SHA256:" + "A" * 43}})
    assert wrong.status != 0
    assert f"d1: its key {sshd.fingerprint} is not trusted: it was to be SHA256:AAA" in wrong.message
    assert not known.exists()

    right = hosts.play(TRUST, variables=told | {"trust_fingerprints": {"d1": sshd.fingerprint}})
    assert right.status == 0, right.output
    public = sshd.key.with_name("host_key.pub").read_text().split()
    assert known.read_text().split() == [f"[127.0.0.1]:{sshd.port}", *public[:2]]

    again = hosts.play(TRUST, variables=told)
    assert again.status == 0, again.output
    assert again.changed == {"localhost": 0}
    assert not again.task_ran("Ask the device for its keys")


def test_a_device_that_does_not_answer_is_named(tmp_path: Path) -> None:
    port = _free_port()
    hosts = LocalHosts(tmp_path, device_kind="pi", ansible_host="127.0.0.1", ansible_port=port)
    silent = hosts.play(TRUST, variables={"trust_known_hosts": str(tmp_path / "known_hosts")})
    assert silent.status != 0
    assert f"d1: no SSH host key from 127.0.0.1 port {port}" in silent.message


def test_a_device_that_does_not_answer_keeps_no_other_from_being_asked(tmp_path: Path, sshd: Sshd) -> None:
    hosts = LocalHosts(tmp_path, ("d1", "d2"), device_kind="pi", ansible_host="127.0.0.1", ansible_port=_free_port())
    content = json.loads(hosts.inventory.read_text())
    content["all"]["hosts"]["d2"] |= {"ansible_port": sshd.port}
    hosts.inventory.write_text(json.dumps(content))
    known = tmp_path / "known_hosts"
    told = {"trust_known_hosts": str(known), "trust_fingerprints": {"d2": sshd.fingerprint}}
    asked = hosts.play(TRUST, variables=told)
    assert asked.status != 0
    assert "d1: no SSH host key from 127.0.0.1" in asked.message
    assert known.read_text().startswith(f"[127.0.0.1]:{sshd.port} ")
