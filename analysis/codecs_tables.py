"""Codecs side by side as a table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.codecs import Tradeoff
from analysis.summary import Condition

_FIGURES = (
    "relative_error",
    "top1_agreement",
    "bytes_share",
    "encode_ms",
    "decode_ms",
    "latency_ratio",
    "throughput_ratio",
    "on_front",
)
_COLUMNS = (*Condition._fields, "split", "written", "latency_ms", "throughput_ips", *_FIGURES)


def codecs_frame(tradeoffs: Sequence[Tradeoff]) -> pd.DataFrame:
    """Return one row per split and codec of the studies that were run with several."""
    rows = [
        {
            **trade.point.condition._asdict(),
            "split": trade.point.split,
            "written": "+".join(trade.written) or None,
            "latency_ms": trade.point.latency.value,
            "throughput_ips": trade.point.throughput.value,
            **{name: getattr(trade, name) for name in _FIGURES},
        }
        for tradeoff in tradeoffs
        for trade in tradeoff.trades
    ]
    return pd.DataFrame.from_records(rows, columns=list(_COLUMNS))
