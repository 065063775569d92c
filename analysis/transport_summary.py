"""The ratio of the two transports over many splits: by network, by chain, by model."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from analysis.intervals import Interval, interval
from analysis.transports import Comparison, SplitPair


class Scope(NamedTuple):
    """What a summary is of; an empty ``chain`` or ``network`` means all of them together."""

    model: str
    batch: int
    chain: str
    network: str
    window: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
    """The median over splits of RPC's figures over TCP's; splits that cross no link are left out.

    The intervals are Student's t over the splits' logarithms: how well the typical ratio is known, not how
    far single splits lie from it.  Overheads are medians over splits, in ms; latency and overhead are
    None above window 1.
    """

    scope: Scope
    splits: int
    latency_ratio: Interval | None
    throughput_ratio: Interval
    base_overhead_ms: float | None
    other_overhead_ms: float | None


def summarise_transports(comparisons: Sequence[Comparison]) -> list[Summary]:
    """Return summaries by network, then by chain, then by model, each in the order run."""
    groups: dict[Scope, list[SplitPair]] = {}
    for detail in ("network", "chain", "model"):
        for comparison in comparisons:
            for pair in comparison.splits:
                if pair.crosses:
                    groups.setdefault(_scope(pair, detail), []).append(pair)
    return [_summary(scope, pairs) for scope, pairs in groups.items()]


def _scope(pair: SplitPair, detail: str) -> Scope:
    condition = pair.condition
    return Scope(
        model=condition.model,
        batch=condition.batch,
        chain=condition.chain if detail != "model" else "",
        network=condition.network if detail == "network" else "",
        window=pair.window,
    )


def _summary(scope: Scope, pairs: Sequence[SplitPair]) -> Summary:
    latency = [[pair.latency_ratio.value] for pair in pairs if pair.latency_ratio is not None]
    return Summary(
        scope=scope,
        splits=len(pairs),
        latency_ratio=interval(latency) if latency else None,
        throughput_ratio=interval([[pair.throughput_ratio.value] for pair in pairs]),
        base_overhead_ms=_median([pair.base.overhead for pair in pairs]),
        other_overhead_ms=_median([pair.other.overhead for pair in pairs]),
    )


def _median(overheads: Sequence[Interval | None]) -> float | None:
    known = [overhead.value for overhead in overheads if overhead is not None]
    return statistics.median(known) if known else None
