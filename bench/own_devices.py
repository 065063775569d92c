"""Virtual devices of a benchmark's own that have a whole core each, and the sweep over them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.testbed import NETWORKS, BenchError, VirtualTestbed, virtual_testbed
from sweep.inventory import load_testbed
from sweep.testbed import Testbed

_PREFIX, _SUBNETS = "sbG", "10.217"
_MEMORY_MB = 4096


class OwnDevices(NamedTuple):
    """The devices as the benchmarks bring them up, and as a sweep knows them."""

    bed: VirtualTestbed
    testbed: Testbed


def whole_cores(count: int, cores: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Give `count` devices, d1 to d<count>, a whole core each: another one each as long as there are enough.

    With cores to spare the first one is left to the driver and the links.

    >>> {name: device["virtual_cores"] for name, device in whole_cores(2, [0, 1, 2, 3]).items()}
    {'d1': '1', 'd2': '2'}
    >>> {name: device["virtual_cores"] for name, device in whole_cores(3, [0, 1]).items()}
    {'d1': '0', 'd2': '1', 'd3': '0'}
    """
    given = list(cores[1:]) if len(cores) > count else list(cores)
    return {
        f"d{place + 1}": {
            "virtual_cpus": 1.0,
            "virtual_cores": str(given[place % len(given)]),
            "virtual_memory_mb": _MEMORY_MB,
        }
        for place in range(count)
    }


@contextmanager
def own_devices(
    count: int, chains: Mapping[str, Sequence[str]], networks: Mapping[str, Mapping[str, Any]] = NETWORKS
) -> Iterator[OwnDevices]:
    """Bring devices up for the time of a ``with`` block, with `chains` of them and these network conditions.

    Raises BenchError without root, or where they do not come up.
    """
    if os.geteuid() != 0:
        raise BenchError("virtual devices are made as root; remedy: sudo make bench")
    variables = {
        "chains": {name: list(devices) for name, devices in chains.items()},
        "default_chains": list(chains),
        "networks": {name: dict(network) for name, network in networks.items()},
    }
    devices = whole_cores(count, sorted(os.sched_getaffinity(0)))
    with (
        tempfile.TemporaryDirectory(prefix="splitbed-bench-") as folder,
        virtual_testbed(Path(folder), prefix=_PREFIX, networks=_SUBNETS, devices=devices, variables=variables) as bed,
    ):
        yield OwnDevices(bed, load_testbed(bed.inventory))
