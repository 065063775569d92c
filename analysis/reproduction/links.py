"""Order network conditions from the best link to the worst."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import pandas as pd

# what a link's goodness is judged by: one megabyte, about what crosses a split of a published model
PAYLOAD_BYTES = 1_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinkQuality:
    """One network condition: what its worst direction asks for, and the time that gives one megabyte."""

    network: str
    rate_mbit: float | None
    delay_ms: float

    def transfer_ms(self, payload_bytes: float = PAYLOAD_BYTES) -> float:
        """Return the least time for so many bytes one way."""
        return self.delay_ms + self.wire_ms(payload_bytes)

    def wire_ms(self, payload_bytes: float) -> float:
        """Return the time that so many bytes occupy the link, without its delay."""
        return payload_bytes * 8e-3 / self.rate_mbit if self.rate_mbit else 0.0


def order_networks(runs: pd.DataFrame) -> list[LinkQuality]:
    """Return the networks of the runs, the best link first; a chain's forward directions count alone."""
    found: dict[str, LinkQuality] = {}
    for network, devices, link in runs[["network", "devices", "link"]].itertuples(index=False, name=None):
        if network in found:
            continue
        pairs = set(itertools.pairwise(devices))
        sides = [side["asked"] for side in link if (side["source"], side["target"]) in pairs]
        if sides:
            qualities = [_quality(network, side) for side in sides]
            found[network] = max(qualities, key=LinkQuality.transfer_ms)
    return sorted(found.values(), key=lambda quality: (quality.transfer_ms(), quality.network))


def _quality(network: str, asked: Mapping[str, Any]) -> LinkQuality:
    return LinkQuality(network=network, rate_mbit=asked.get("rate_mbit") or None, delay_ms=asked.get("delay_ms") or 0.0)
