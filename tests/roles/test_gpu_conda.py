"""The role gpu_conda, against a conda that records what it is told (see conda_double)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.roles.conda_double import write_conda, write_installer
from tests.roles.local_hosts import LocalHosts
from tests.roles.wheels import write_wheel

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def hosts(tmp_path: Path) -> LocalHosts:
    """Make a server with a conda double at conda/bin/conda, and one tiny package to install."""
    write_conda(tmp_path / "conda" / "bin" / "conda", tmp_path / "record")
    write_wheel(tmp_path / "wheels", "splitbed_tiny", "1.0")
    (tmp_path / "requirements.txt").write_text("splitbed_tiny==1.0\n")
    return LocalHosts(
        tmp_path,
        gpu_conda_executable=str(tmp_path / "conda" / "bin" / "conda"),
        gpu_conda_python_version=VERSION,
        gpu_conda_wheelhouse=str(tmp_path / "wheels"),
        gpu_conda_requirements=str(tmp_path / "requirements.txt"),
        gpu_conda_require_cuda=False,
    )


def _told(hosts: LocalHosts) -> list[list[str]]:
    record = hosts.folder / "record"
    return [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []


def _tiny(hosts: LocalHosts) -> str:
    program = "import splitbed_tiny; print(splitbed_tiny.__version__)"
    python = hosts.home() / "conda" / "bin" / "python"
    return subprocess.run([python, "-I", "-c", program], check=True, capture_output=True, text=True).stdout.strip()


def test_an_environment_is_made_and_filled_once(hosts: LocalHosts) -> None:
    checked = hosts.role("gpu_conda", check_mode=True)
    assert checked.status == 0, checked.output
    assert checked.changed["d1"] > 0
    assert _told(hosts) == []
    assert not (hosts.home() / "conda").exists()

    made = hosts.role("gpu_conda")
    assert made.status == 0, made.output
    prefix = str(hosts.home() / "conda")
    create = ["create", "--yes", "--quiet", "--prefix", prefix, "--override-channels", "--channel", "conda-forge"]
    assert _told(hosts) == [[*create, f"python={VERSION}", "pip"]]
    assert _tiny(hosts) == "1.0"

    again = hosts.role("gpu_conda")
    assert again.changed == {"d1": 0}
    assert not again.task_ran("Look for conda"), "one question to the server must do"
    assert len(_told(hosts)) == 1


def test_channels_and_offline_reach_conda(hosts: LocalHosts) -> None:
    made = hosts.role("gpu_conda", gpu_conda_channels=["/lab/one", "/lab/two"], gpu_conda_offline=True)
    assert made.status == 0, made.output
    (told,) = _told(hosts)
    assert told[5:] == [
        *["--override-channels", "--channel", "/lab/one", "--channel", "/lab/two", "--offline"],
        *[f"python={VERSION}", "pip"],
    ]


def test_other_pins_fill_the_same_environment(hosts: LocalHosts) -> None:
    assert hosts.role("gpu_conda").status == 0
    write_wheel(hosts.folder / "wheels", "splitbed_tiny", "2.0")
    (hosts.folder / "requirements.txt").write_text("splitbed_tiny==2.0\n")
    assert hosts.role("gpu_conda").status == 0
    assert _tiny(hosts) == "2.0"
    assert len(_told(hosts)) == 1, "the environment was made again"


def test_miniforge_is_installed_where_there_is_no_conda(hosts: LocalHosts) -> None:
    installer = hosts.folder / "installer.sh"
    write_installer(installer, hosts.folder / "conda" / "bin" / "conda")
    # HOME has no conda either
    alone = {"gpu_conda_executable": "", "gpu_conda_installer": str(installer)}
    checked = hosts.role("gpu_conda", check_mode=True, **alone)
    assert checked.status == 0, checked.output
    assert not hosts.home().exists()
    made = hosts.role("gpu_conda", **alone)
    assert made.status == 0, made.output
    assert (hosts.home() / "miniforge" / "bin" / "conda").is_file()
    assert not (hosts.home() / "miniforge-installer.sh").exists()
    assert _tiny(hosts) == "1.0"
    assert hosts.role("gpu_conda", **alone).changed == {"d1": 0}


def test_a_conda_that_is_not_there_is_named(hosts: LocalHosts) -> None:
    refused = hosts.role("gpu_conda", gpu_conda_executable="/nowhere/conda")
    assert refused.status != 0
    assert 'd1: gpu_conda_executable is "/nowhere/conda", which cannot be executed there' in refused.message


def test_a_server_without_cuda_is_told_and_not_stamped(hosts: LocalHosts) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    refused = hosts.role("gpu_conda", gpu_conda_require_cuda=True)
    assert refused.status != 0
    assert f"d1: torch {torch.__version__} built for CUDA" in refused.message
    assert "nvidia-smi" in refused.message
    assert not (hosts.home() / "conda" / ".splitbed").exists()


@pytest.mark.parametrize("version", ["3.10", "3"])
def test_a_python_that_is_too_old_or_unclear_is_refused(hosts: LocalHosts, version: str) -> None:
    refused = hosts.role("gpu_conda", gpu_conda_python_version=version)
    assert refused.status != 0
    assert f'gpu_conda_python_version is "{version}"' in refused.message
    assert _told(hosts) == []
