"""Whether the network is a first-class bottleneck."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.conclusion import TIMES
from analysis.intervals import Floats
from analysis.networks import NetworkQuality, wire_ms
from analysis.numbers import DASH, number
from analysis.reproduction.claims.common import models_note, more_runs
from analysis.reproduction.claims.contrast import Contrast, contrast, wanting
from analysis.reproduction.ensemble import Draws
from analysis.reproduction.material import Material
from analysis.reproduction.verdict import Claim, Finding, Span

# how far the speed of a quiet machine drifted over minutes (METHODOLOGY): less than that is no bottleneck
LEAST_FACTOR = 1.25
_CLAIM = Claim(
    key="bottleneck",
    title="The network is a first-class bottleneck",
    published="The network decides as much as the devices do: it is a first-class bottleneck.",
    rule=(
        "The effect is how many times more throughput the best split has under the best link than the best split has "
        "under the worst (each link may choose its own), mean of the logarithm over chains, then over models, its "
        f"interval from redrawn campaigns. Holds: the 95 % interval is above 1 and the factor at least {LEAST_FACTOR}; "
        f"does not hold: the interval is below {LEAST_FACTOR}; else cannot be said."
    ),
)


def judge_bottleneck(material: Material) -> Finding:
    """Judge whether a bad link costs even the best split much of its throughput."""
    found = contrast(material, _most_throughput, math.log(LEAST_FACTOR), sign=-1)
    if isinstance(found, str):
        return wanting(_CLAIM, material, found)
    return _CLAIM.found(
        found.splits.verdict,
        f"The best split under {found.best} has {_times(found.splits.overall)} the throughput of the best split under "
        f"{found.worst}.",
        (
            "model", "chain", f"throughput {found.best} ÷ {found.worst}", f"latency {found.worst} ÷ {found.best}",
            f"best ÷ worst split under {found.best}",
            *(f"link slowest, {network.network}" for network in material.networks),
        ),
        [_row(material, found, model, chain) for model, chain in found.figures],
        models_note(found.splits, _times),
        "link slowest: the share of splits whose bytes occupy the link longer than either device computes",
        remedy=more_runs(material),
    )  # fmt: skip


def _most_throughput(draws: Draws) -> Floats:
    return np.asarray(np.log(draws.throughput_ips.max(axis=1)), dtype=np.float64)


def _times(found: Span) -> str:
    low, value, high = (math.exp(log) for log in (found.low, found.value, found.high))
    return f"{number(value)}{TIMES} [{number(low)}, {number(high)}]"


def _row(material: Material, found: Contrast, model: str, chain: str) -> Sequence[str | float]:
    best, worst = (material.tcp[model, chain, network] for network in (found.best, found.worst))
    rates, latencies = best.throughput_ips[best.is_split], best.latency_ms[best.is_split]
    factors = (
        rates.max() / worst.throughput_ips[worst.is_split].max(),
        worst.latency_ms[worst.is_split].min() / latencies.min(),
        rates.max() / rates.min(),
    )
    runs = material.runs
    own = runs[(runs["model"] == model) & (runs["chain"] == chain) & (runs["transport"] == "tcp")]
    bound = [share_bound(own[own["network"] == network.network], network) for network in material.networks]
    return (model, chain, *(f"{number(float(factor))}{TIMES}" for factor in factors), *map(_share, bound))


def share_bound(runs: pd.DataFrame, network: NetworkQuality) -> float:
    """Return the share of splits whose bytes occupy the link longer than either device computes; NaN without any."""
    good = runs[(runs["status"] == "ok") & (runs["window"] == 1)]
    bound: dict[str, list[bool]] = {}
    for cut, split, stages, hops in good[["cut", "split", "stages", "hops"]].itertuples(index=False, name=None):
        if cut and hops:
            slowest = max(stage["compute_ms"] for stage in stages)
            bound.setdefault(split, []).append(wire_ms(hops[0]["bytes"], network.rate_mbit) > slowest)
    if not bound:
        return math.nan
    return sum(sum(seen) * 2 > len(seen) for seen in bound.values()) / len(bound)


def _share(value: float) -> str:
    return DASH if math.isnan(value) else f"{value:.0%}"
