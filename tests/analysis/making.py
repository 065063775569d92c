"""Points and fronts made by hand, for tests that hold an algorithm against counting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.fronts import Front, find_fronts
from analysis.intervals import interval
from analysis.summary import Condition, Estimate, Point, RunKey

CONDITION = Condition("mobilenet_v2", "paper", "pi_to_pi", "lan", "tcp", "eager", "none", 8)


def made_estimate(values: Sequence[float], spread: float = 0.0) -> Estimate:
    """Make an estimate of these repeats; its replicates run evenly ``spread`` to either side of the median."""
    found = interval([[value] for value in values])
    return Estimate(
        value=found.value,
        low=found.low,
        high=found.high,
        runs=len(values),
        basis=found.basis,
        replicates=found.value + spread * np.linspace(-1, 1, 200),
        medians={RunKey("made-up", repeat): value for repeat, value in enumerate(values)},
    )


def made_point(
    split: str, latency: Sequence[float], throughput: Sequence[float], network: str = "lan", spread: float = 0.0
) -> Point:
    """Make a point of a chain of two from its repeats; ``spread`` is of the latency's replicates."""
    blocks = {"only:pi1": (19, 0), "only:pi2": (0, 19)}.get(split) or (int(split[1:]), 19 - int(split[1:]))
    return Point(
        condition=CONDITION._replace(network=network),
        split=split,
        cut=(blocks[0],) if split.startswith("P") else (),
        devices=("pi1", "pi2"),
        latency=made_estimate(latency, spread),
        throughput=made_estimate(throughput),
        response_ms=latency[0],
        throughput_window=4,
        blocks=blocks,
        compute_ms=(2.0 * blocks[0], 1.0 * blocks[1]),
    )


def made_fronts(networks: Mapping[str, Mapping[str, tuple[float, float]]]) -> list[Front]:
    """Make a front per network from ``{network: {split: (latency, throughput)}}``, three equal repeats each."""
    return find_fronts(
        [
            made_point(split, [latency] * 3, [rate] * 3, network)
            for network, splits in networks.items()
            for split, (latency, rate) in splits.items()
        ]
    )
