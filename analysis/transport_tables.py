"""TCP and RPC side by side as tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from analysis.intervals import Interval
from analysis.summary import Condition
from analysis.transport_summary import Scope, Summary
from analysis.transports import BASE, OTHER, Comparison, Side, SplitPair

_NONE = Interval(value=math.nan, low=math.nan, high=math.nan, basis="none")


def transports_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Return one row per split and window that was run over both transports."""
    rows = [_row(pair) for comparison in comparisons for pair in comparison.splits]
    return pd.DataFrame.from_records(rows, columns=list(rows[0]) if rows else _columns())


def _row(pair: SplitPair) -> dict[str, object]:
    condition = {name: value for name, value in pair.condition._asdict().items() if name != "transport"}
    return {
        **condition,
        "split": pair.split,
        "window": pair.window,
        "crosses_link": pair.crosses,
        "pairs": pair.pairs,
        **_side(BASE, pair.base, pair.window),
        **_side(OTHER, pair.other, pair.window),
        **_spread("latency_ratio", pair.latency_ratio),
        **_spread("throughput_ratio", pair.throughput_ratio),
        **_spread("overhead_difference", pair.overhead_difference, "_ms"),
    }


def _side(name: str, side: Side, window: int) -> dict[str, object]:
    return {
        f"{name}_runs": side.runs,
        f"{name}_latency_ms": side.latency_ms if window == 1 else math.nan,
        f"{name}_throughput_ips": side.throughput_ips,
        f"{name}_compute_ms": side.compute_ms,
        **_spread(f"{name}_overhead", side.overhead, "_ms"),
    }


def _spread(name: str, found: Interval | None, unit: str = "") -> dict[str, float]:
    own = found or _NONE
    return {f"{name}{unit}": own.value, f"{name}_low{unit}": own.low, f"{name}_high{unit}": own.high}


def _columns() -> list[str]:
    """Name the columns where there is no row."""
    nothing = Side(runs=0, latency_ms=math.nan, throughput_ips=math.nan, compute_ms=math.nan, overhead=None)
    return list(
        _row(
            SplitPair(
                condition=Condition("", "", "", "", "", "", "", 0),
                split="",
                window=1,
                crosses=False,
                pairs=0,
                base=nothing,
                other=nothing,
                latency_ratio=None,
                throughput_ratio=_NONE,
                overhead_difference=None,
            )
        )
    )


def transport_summary_frame(summaries: Sequence[Summary]) -> pd.DataFrame:
    """Return one row per network, per chain and per model; ``all`` stands where they are taken together."""
    rows = [
        {
            **{name: value or "all" for name, value in item.scope._asdict().items()},
            "splits": item.splits,
            **_spread("latency_ratio", item.latency_ratio),
            **_spread("throughput_ratio", item.throughput_ratio),
            f"{BASE}_overhead_ms": item.base_overhead_ms,
            f"{OTHER}_overhead_ms": item.other_overhead_ms,
        }
        for item in summaries
    ]
    names = [*Scope._fields, "splits", *_spread("latency_ratio", None), *_spread("throughput_ratio", None)]
    return pd.DataFrame.from_records(rows, columns=[*names, f"{BASE}_overhead_ms", f"{OTHER}_overhead_ms"])
