"""A testbed for whole sweeps: three virtual devices, two chains, two quick conditions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.virtual_devices import VirtualTestbed, virtual_testbed

CHAINS = {"near": ["one", "two"], "long": ["one", "two", "three"], "broken": ["one", "absent"]}
NETWORKS = {
    "quick": {"rate_mbit": 200, "delay_ms": 0.2},
    "slow": {"rate_mbit": 50, "delay_ms": 5},
}


@pytest.fixture(scope="session")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualTestbed]:
    """Bring up devices one, two and three; ``absent`` is in the inventory but answers nobody."""
    devices = {
        "one": {"virtual_memory_mb": 2048, "virtual_cpus": 1},
        "two": {"virtual_memory_mb": 2048, "virtual_cpus": 1, "virtual_cores": "1"},
        "three": {"virtual_memory_mb": 2048, "virtual_cpus": 1, "virtual_cores": "1"},
    }
    folder = tmp_path_factory.mktemp("sweep")
    variables = {
        "chains": CHAINS,
        "default_chains": ["near"],
        "networks": NETWORKS,
        "stage_service_world_timeout_s": 20,
    }
    with virtual_testbed(folder, prefix="sbE", networks="10.218", devices=devices, variables=variables) as testbed:
        add_absent_device(testbed)
        yield testbed


def add_absent_device(testbed: VirtualTestbed) -> None:
    """Name a real-looking device on the management network that nobody has."""
    content = json.loads(testbed.inventory.read_text())
    content["all"]["children"]["pis"]["hosts"]["absent"] = {
        "device_kind": "pi",
        "ansible_host": "10.218.0.99",
        "ansible_ssh_common_args": "-o ConnectTimeout=2 -o StrictHostKeyChecking=yes",
    }
    testbed.inventory.write_text(json.dumps(content))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Give a folder for campaigns."""
    return tmp_path / "results"
