"""The role pi_venv makes a venv with the pinned packages, and leaves the system's Python alone."""

from __future__ import annotations

import site
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.roles.local_hosts import LocalHosts
from tests.roles.wheels import write_wheel


@pytest.fixture
def hosts(tmp_path: Path) -> LocalHosts:
    """Make a device with nothing on it."""
    return LocalHosts(tmp_path, pi_venv_python=sys.executable, pi_venv_apt_packages=[])


@pytest.fixture
def offline(tmp_path: Path) -> dict[str, Any]:
    """Give the variables of a lab without internet: one tiny package, in two versions, in a wheelhouse."""
    wheelhouse = tmp_path / "wheels"
    write_wheel(wheelhouse, "splitbed_tiny", "1.0")
    write_wheel(wheelhouse, "splitbed_tiny", "2.0")
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# one pin\nsplitbed_tiny==1.0\n")
    return {"pi_venv_wheelhouse": str(wheelhouse), "pi_venv_requirements": str(requirements)}


def _say(hosts: LocalHosts, program: str) -> str:
    python = hosts.home() / "venv" / "bin" / "python"
    return subprocess.run([python, "-I", "-c", program], check=True, capture_output=True, text=True).stdout.strip()


def test_borrowed_packages_are_found_and_nothing_is_installed(hosts: LocalHosts) -> None:
    borrowed = {"pi_venv_extra_site_packages": site.getsitepackages()}
    checked = hosts.role("pi_venv", check_mode=True, **borrowed)
    assert checked.status == 0, checked.output
    assert checked.changed["d1"] > 0
    assert not hosts.home().exists()

    made = hosts.role("pi_venv", **borrowed)
    assert made.status == 0, made.output
    assert not made.task_ran("Run pip")
    assert _say(hosts, "import msgspec, sys; print(sys.prefix)") == str(hosts.home() / "venv")

    again = hosts.role("pi_venv", **borrowed)
    assert again.changed == {"d1": 0}
    assert not again.task_ran("Make the venv"), "one question to the device must do"


def test_a_package_that_cannot_be_borrowed_is_named(hosts: LocalHosts, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("msgspec==0.0.1\nsplitbed_absent==1.0\n")
    refused = hosts.role(
        "pi_venv",
        pi_venv_extra_site_packages=site.getsitepackages(),
        pi_venv_requirements=str(tmp_path / "requirements.txt"),
    )
    assert refused.status != 0
    assert "d1: " in refused.message
    assert '"pin": "splitbed_absent==1.0", "found": null' in refused.message
    assert '"pin": "msgspec==0.0.1"' in refused.message


def test_a_wheelhouse_fills_the_venv_without_any_index(hosts: LocalHosts, offline: dict[str, Any]) -> None:
    made = hosts.role("pi_venv", **offline)
    assert made.status == 0, made.output
    version = "import splitbed_tiny; print(splitbed_tiny.__version__)"
    assert _say(hosts, version) == "1.0"
    assert hosts.role("pi_venv", **offline).changed == {"d1": 0}

    Path(offline["pi_venv_requirements"]).write_text("splitbed_tiny==2.0\n")
    checked = hosts.role("pi_venv", check_mode=True, **offline)
    assert checked.status == 0, checked.output
    assert checked.changed["d1"] > 0
    assert _say(hosts, version) == "1.0", "check mode installed something"
    assert hosts.role("pi_venv", **offline).status == 0
    assert _say(hosts, version) == "2.0"


def test_a_broken_venv_is_made_anew(hosts: LocalHosts) -> None:
    borrowed = {"pi_venv_extra_site_packages": site.getsitepackages()}
    python = hosts.home() / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/nowhere/python3")
    made = hosts.role("pi_venv", **borrowed)
    assert made.status == 0, made.output
    assert _say(hosts, "import msgspec") == ""


def test_a_missing_pin_in_the_wheelhouse_leaves_no_stamp(hosts: LocalHosts, offline: dict[str, Any]) -> None:
    Path(offline["pi_venv_requirements"]).write_text("splitbed_tiny==3.0\n")
    failed = hosts.role("pi_venv", **offline)
    assert failed.status != 0
    assert "No matching distribution found for splitbed_tiny==3.0" in failed.message
    assert not (hosts.home() / "venv" / ".splitbed").exists()


@pytest.mark.parametrize("path", ["/usr/local", "venv"])
def test_the_systems_python_is_refused(hosts: LocalHosts, path: str) -> None:
    refused = hosts.role("pi_venv", pi_venv_path=path)
    assert refused.status != 0
    assert f'd1: pi_venv_path is "{path}"' in refused.message
    assert "PEP 668" in refused.message


def test_a_wheelhouse_that_is_no_folder_is_refused(hosts: LocalHosts, tmp_path: Path) -> None:
    refused = hosts.role("pi_venv", pi_venv_wheelhouse=str(tmp_path / "absent"))
    assert refused.status != 0
    assert f'd1: pi_venv_wheelhouse is "{tmp_path}/absent", which is no folder on the control node' in refused.message


def test_installed_debian_packages_need_no_root(hosts: LocalHosts) -> None:
    there = hosts.role(
        "pi_venv", pi_venv_apt_packages=["dpkg"], pi_venv_extra_site_packages=site.getsitepackages(), check_mode=True
    )
    assert there.status == 0, there.output
    assert there.task_ran("Ask which Debian packages are installed")
    assert not there.task_ran("Install the missing Debian packages")
