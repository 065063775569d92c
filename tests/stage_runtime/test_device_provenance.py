"""What a device says of itself, asked as a play asks it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.project.structure import ROOT


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    script, home = ROOT / "stage_runtime" / "provenance.py", tmp_path_factory.mktemp("home")
    words = [sys.executable, "-I", "-S", str(script), str(home)]
    told: dict[str, Any] = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return told


def test_a_device_names_its_versions_and_processor(found: dict[str, Any]) -> None:
    assert {"torch", "msgspec"} <= found["packages"].keys()
    assert found["cores"] >= 1
    assert found["memory_mb"] > 0


def test_a_device_says_what_its_tcp_does(found: dict[str, Any]) -> None:
    settings = {
        name: Path(f"/proc/sys/net/ipv4/tcp_{name}").read_text().split()
        for name in ("congestion_control", "slow_start_after_idle", "rmem", "wmem")
    }
    assert {name: value.split() for name, value in found["tcp"].items()} == settings
