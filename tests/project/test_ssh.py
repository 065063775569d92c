"""Host keys are always checked."""

from __future__ import annotations

import configparser
import re
import subprocess

from tests.project.structure import ROOT

# Whatever switches the checking off, or takes a key that nobody has looked at.
_OFF = re.compile(
    r"StrictHostKeyChecking\W{0,5}(no|off|accept-new)\b|host_key_checking\W{0,5}(false|no|0)\b|UserKnownHostsFile\W{0,3}/dev/null",
    re.IGNORECASE,
)


def _tracked() -> list[str]:
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True)  # noqa: S607 - wherever git lies
    return [name for name in listed.stdout.splitlines() if not name.startswith("docs/")]


def test_the_rule_finds_what_it_is_for() -> None:
    for text in (
        "-o StrictHostKeyChecking=no",
        '"StrictHostKeyChecking": "accept-new"',
        "host_key_checking = false",
        'ANSIBLE_HOST_KEY_CHECKING": "False"',
        "UserKnownHostsFile=/dev/null",
    ):
        assert _OFF.search(text), text
    for text in ("StrictHostKeyChecking=yes", "host_key_checking = true", "GlobalKnownHostsFile=/dev/null"):
        assert not _OFF.search(text), text


def test_nothing_switches_host_key_checking_off() -> None:
    assert _tracked()
    found = []
    for name in _tracked():
        path = ROOT / name
        if name == "tests/project/test_ssh.py" or not path.is_file():
            continue
        content = path.read_bytes().decode(errors="replace")
        found += [f"{name}: {match.group()}" for match in _OFF.finditer(content)]
    assert found == []


def test_a_key_that_is_not_known_is_refused_and_not_asked_about_in_passing() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "ansible.cfg")
    assert config["defaults"]["host_key_checking"] == "true"
    assert "-o StrictHostKeyChecking=yes" in config["ssh_connection"]["ssh_args"]
