"""How near the splits came to their bounds, as tables: a row per point, and a summary per condition."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence

import pandas as pd

from analysis.bounds import Lost, LostPeriod, Nearness
from analysis.fronts import Objective
from analysis.intervals import Interval
from analysis.summary import Condition


@dataclasses.dataclass(frozen=True, kw_only=True)
class Overview:
    """The efficiencies of one condition's splits: how many, the median, the least and whose it is."""

    condition: Condition
    objective: Objective
    splits: int
    median: float
    least: float
    least_split: str


def overview(found: Sequence[Nearness]) -> list[Overview]:
    """Return the efficiencies of each condition, latency's before throughput's; references count as splits."""
    groups: dict[tuple[Condition, Objective], list[tuple[float, str]]] = {}
    for item in found:
        if item.latency is not None:
            groups.setdefault((item.condition, "latency"), []).append((item.latency.efficiency.value, item.split))
        if item.throughput is not None:
            groups.setdefault((item.condition, "throughput"), []).append((item.throughput.efficiency.value, item.split))
    return [
        Overview(
            condition=condition,
            objective=objective,
            splits=len(values),
            median=statistics.median(value for value, _ in values),
            least=min(values)[0],
            least_split=min(values)[1],
        )
        for (condition, objective), values in groups.items()
    ]


def bounds_frame(found: Sequence[Nearness]) -> pd.DataFrame:
    """Return one row per point that has a bound."""
    columns = [
        *Condition._fields, "split", "latency_ms", "latency_bound_ms", "latency_efficiency", "latency_efficiency_low",
        "latency_efficiency_high", *(f"lost_{name}" for name in Lost._fields), "window", "throughput_bound_ips",
        "throughput_efficiency", "throughput_efficiency_low", "throughput_efficiency_high", "limit", "limit_where",
        *(f"lost_period_{name}" for name in LostPeriod._fields),
    ]  # fmt: skip
    return pd.DataFrame.from_records([_row(item) for item in found], columns=columns)


def _row(item: Nearness) -> dict[str, object]:
    row: dict[str, object] = {**item.condition._asdict(), "split": item.split}
    if item.latency is not None:
        row |= {"latency_ms": item.latency.latency_ms, "latency_bound_ms": item.latency.bound_ms}
        row |= _efficiency("latency", item.latency.efficiency)
        row |= {f"lost_{name}": value for name, value in item.latency.lost._asdict().items()}
    if item.throughput is not None:
        gap = item.throughput
        row |= {"window": gap.window, "throughput_bound_ips": gap.bound_ips, "limit": gap.limit}
        row |= {"limit_where": gap.where} | _efficiency("throughput", gap.efficiency)
        row |= {f"lost_period_{name}": value for name, value in gap.lost._asdict().items()}
    return row


def _efficiency(name: str, found: Interval) -> dict[str, object]:
    return {
        f"{name}_efficiency": found.value,
        f"{name}_efficiency_low": found.low,
        f"{name}_efficiency_high": found.high,
    }
