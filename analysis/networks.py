"""What the links were asked to do and measured to do, and which network is better than which."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

# networks are ranked by the time for one megabyte, about what crosses a split of a published model
RANKED_BY_MB = 1.0
# what Ethernet, IP and TCP headers leave of a link's rate
DATA_SHARE = 0.955


def links_frame(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per chain, network and direction: asked for, in force, measured (medians).

    A link is measured once per condition, so a median over runs is one over conditions set up.
    """
    found = distinct_links(runs)
    records = [
        {
            "chain": chain,
            "network": network,
            "link": f"{side['source']} → {side['target']}",
            "backend": side["backend"],
            "asked": describe_link(side["asked"]),
            "in_force": describe_link(side["in_force"]),
            "rtt_ms": side["rtt_ms"],
            "message_ms": side["message_ms"],
            "bulk_mbit": side["bulk_mbit"],
            "runs": count,
        }
        for chain, network, link, count in found
        for side in link
    ]
    if not records:
        return pd.DataFrame()
    distinct = pd.DataFrame.from_records(records).astype(
        {"rtt_ms": "float64", "message_ms": "float64", "bulk_mbit": "float64"}
    )
    frame = distinct.loc[distinct.index.repeat(distinct["runs"])]
    keys = ["chain", "network", "link", "backend", "asked", "in_force"]
    return frame.groupby(keys, sort=False, as_index=False)[["rtt_ms", "message_ms", "bulk_mbit"]].median()


class DistinctLink(NamedTuple):
    """The links of one chain under one network as some runs found them, and how many runs those are."""

    chain: str
    network: str
    link: Sequence[Mapping[str, Any]]
    runs: int


def distinct_links(runs: pd.DataFrame) -> list[DistinctLink]:
    """Return what links the runs had, in the order run: runs of one condition share theirs."""
    counts = Counter(
        (chain, network, id(link))
        for chain, network, link in runs[["chain", "network", "link"]].itertuples(index=False, name=None)
    )
    links = {id(link): link for link in runs["link"]}
    return [DistinctLink(chain, network, links[key], count) for (chain, network, key), count in counts.items()]


def describe_link(spec: Mapping[str, Any]) -> str:
    """Write a link specification for a reader, e.g. ``5 Mbit/s, 200 ms``."""
    parts = [f"{spec['rate_mbit']:g} Mbit/s"] if spec.get("rate_mbit") else ["no rate limit"]
    parts += [f"{spec['delay_ms']:g} ms"] if spec.get("delay_ms") else []
    parts += [f"± {spec['jitter_ms']:g} ms"] if spec.get("jitter_ms") else []
    parts += [f"{spec['loss_percent']:g} % lost"] if spec.get("loss_percent") else []
    return ", ".join(parts)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkQuality:
    """One network condition: what its slowest link forward was asked for, and ``carry_ms`` of its slowest chain."""

    network: str
    rate_mbit: float | None
    delay_ms: float
    carry_ms: float


def carry_times(runs: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Return for each (chain, network) the least ms for a megabyte from the first device to the last.

    By what was asked of the links forward; the less, the better the network.  A chain of one device takes 0.
    """
    return {key: sum(map(_side_ms, sides)) for key, sides in _forward(runs).items()}


def order_networks(runs: pd.DataFrame) -> list[NetworkQuality]:
    """Return the networks that any chain crosses, the best first."""
    found: dict[str, NetworkQuality] = {}
    for (_, network), sides in _forward(runs).items():
        carry_ms = sum(map(_side_ms, sides))
        if sides and (network not in found or carry_ms > found[network].carry_ms):
            slowest = max(sides, key=_side_ms)
            found[network] = NetworkQuality(
                network=network,
                rate_mbit=slowest.get("rate_mbit"),
                delay_ms=slowest.get("delay_ms") or 0.0,
                carry_ms=carry_ms,
            )
    return sorted(found.values(), key=lambda quality: (quality.carry_ms, quality.network))


def _forward(runs: pd.DataFrame) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    """Return what was asked of each (chain, network)'s links from the first device towards the last."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    columns = runs[["chain", "network", "devices", "link"]]
    for chain, network, devices, link in columns.itertuples(index=False, name=None):
        if (chain, network) not in found:
            hops = set(itertools.pairwise(devices))
            found[chain, network] = [side["asked"] for side in link if (side["source"], side["target"]) in hops]
    return found


def _side_ms(asked: Mapping[str, Any]) -> float:
    return (asked.get("delay_ms") or 0.0) + wire_ms(RANKED_BY_MB * 1e6, asked.get("rate_mbit"))


def wire_ms(size_bytes: float, rate_mbit: float | None) -> float:
    """Return how long so many bytes of data occupy a link; 0 where its rate is not limited or not known."""
    return size_bytes * 8e-3 / (rate_mbit * DATA_SHARE) if rate_mbit else 0.0
