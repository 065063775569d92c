"""Two virtual devices on which things go wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.virtual_devices import VirtualTestbed, virtual_testbed

NETWORKS = {
    "quick": {"rate_mbit": 200, "delay_ms": 0.2},
    "narrow": {"rate_mbit": 5, "delay_ms": 5},
}
MEMORY_MB = 1024


@pytest.fixture(scope="session")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualTestbed]:
    """Bring up devices one and two, a core and a gigabyte each, and the chain of both."""
    own = {"virtual_memory_mb": MEMORY_MB, "virtual_cpus": 1}
    with virtual_testbed(
        tmp_path_factory.mktemp("faults"),
        prefix="sbAf",
        networks="10.219",
        devices={"one": own | {"virtual_cores": "0"}, "two": own | {"virtual_cores": "1"}},
        variables={"chains": {"near": ["one", "two"]}, "default_chains": ["near"], "networks": NETWORKS},
    ) as testbed:
        yield testbed
