"""Provisioning, shards, stages and the reset, on virtual devices from nothing to nothing."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.virtual_devices import VirtualTestbed, virtual_testbed

pytestmark = pytest.mark.integration

DEVICES = {"f1": {"virtual_memory_mb": 2048}, "f2": {"virtual_memory_mb": 2048}}


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualTestbed]:
    """Bring two devices up."""
    with virtual_testbed(tmp_path_factory.mktemp("bed"), prefix="sbF", networks="10.217", devices=DEVICES) as testbed:
        yield testbed


def _changed(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    return {
        host: int(count) for host, count in re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", done.stdout, re.MULTILINE)
    }


def _status(bed: VirtualTestbed, device: str) -> dict[str, Any] | None:
    home = bed.root / device / "splitbed"
    words = (
        f"{home}/venv/bin/python -I -S {home}/runtime/stage_runtime/control.py --socket {home}/run/stage.sock status"
    )
    said = bed.ansible(device, "ansible.builtin.raw", f"{words} || true").stdout
    answer: dict[str, Any] = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    return None if "error" in answer else answer


def _stage_play(bed: VirtualTestbed) -> Path:
    secret = bed.folder / "secret"
    secret.write_text(secrets.token_hex(32))
    playbook = bed.folder / "stages.yml"
    role = {"name": "stage_service"}
    play = {"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.include_role": role}]}
    playbook.write_text(json.dumps([play | {"vars": {"stage_service_secret_file": str(secret)}}]))
    return playbook


def test_devices_are_provisioned_once_run_stages_and_are_reset(bed: VirtualTestbed) -> None:
    assert _changed(bed.play("playbooks/provision.yml", "--check"))["f1"] > 0
    assert not (bed.root / "f1" / "splitbed" / "venv").exists()
    assert _changed(bed.play("playbooks/provision.yml"))["f1"] > 0
    again = bed.play("playbooks/provision.yml")
    assert _changed(again) == {"f1": 0, "f2": 0}
    assert "pi_venv" not in again.stdout, "one question to a device must do"

    stages = _stage_play(bed)
    assert _changed(bed.play(str(stages))) == {"f1": 1, "f2": 1}
    assert _changed(bed.play(str(stages))) == {"f1": 0, "f2": 0}
    first, second = _status(bed, "f1"), _status(bed, "f2")
    assert first is not None
    assert second is not None
    assert (first["device"], second["device"]) == ("f1", "f2")
    assert first["address"] == "10.217.1.11:47300"

    assert _changed(bed.play("playbooks/reset.yml")) == {"f1": 1, "f2": 1}
    assert _status(bed, "f1") is None
    assert _changed(bed.play("playbooks/reset.yml")) == {"f1": 0, "f2": 0}


def test_a_device_whose_environment_is_unknown_is_named(bed: VirtualTestbed) -> None:
    refused = bed.play("playbooks/provision.yml", check=False, device_environment="docker")
    assert refused.returncode != 0
    assert 'f1: device_environment is "docker"; accepted: venv (role pi_venv)' in " ".join(refused.stdout.split())
