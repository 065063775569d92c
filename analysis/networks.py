"""What the links were asked to do, and what they were measured to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd


def links_frame(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per chain, network and direction: asked for, in force, measured (medians).

    A link is measured once per condition, so a median over runs is one over conditions set up.
    """
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
        }
        for chain, network, link in runs[["chain", "network", "link"]].itertuples(index=False, name=None)
        for side in link
    ]
    if not records:
        return pd.DataFrame()
    frame = pd.DataFrame.from_records(records).astype(
        {"rtt_ms": "float64", "message_ms": "float64", "bulk_mbit": "float64"}
    )
    keys = ["chain", "network", "link", "backend", "asked", "in_force"]
    return frame.groupby(keys, sort=False, as_index=False)[["rtt_ms", "message_ms", "bulk_mbit"]].median()


def describe_link(spec: Mapping[str, Any]) -> str:
    """Write a link specification for a reader, e.g. ``5 Mbit/s, 200 ms``."""
    parts = [f"{spec['rate_mbit']:g} Mbit/s"] if spec.get("rate_mbit") else ["no rate limit"]
    parts += [f"{spec['delay_ms']:g} ms"] if spec.get("delay_ms") else []
    parts += [f"± {spec['jitter_ms']:g} ms"] if spec.get("jitter_ms") else []
    parts += [f"{spec['loss_percent']:g} % lost"] if spec.get("loss_percent") else []
    return ", ".join(parts)
