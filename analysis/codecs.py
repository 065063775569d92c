"""What codecs gain and what they cost: the same splits with different codecs, latency against error.

The **error** of a point is the greatest ``relative_error`` of its runs, its **agreement** the least ``top1_agreement``;
of random weights no agreement is given, since their largest output is largest by chance.

The **front** of latency against error holds the points, of all splits and codecs under one network, that no other
point beats in one without being worse in the other.
"""

from __future__ import annotations

import dataclasses
import math
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from analysis.summary import Condition, Point, by_point, pick

PLAIN = "none"
_RANDOM = "seeded"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trade:
    """One split with one codec; NaN where there is no figure.

    ``written`` names what the hops took, each once.  ``bytes_share`` is bytes on the wire over the activations' own,
    over all hops; ``encode_ms`` and ``decode_ms`` are sums over them (medians of the window 1 runs).  The ratios are
    over the same split with codec ``none``.
    """

    point: Point
    written: tuple[str, ...]
    relative_error: float
    top1_agreement: float
    bytes_share: float
    encode_ms: float
    decode_ms: float
    latency_ratio: float
    throughput_ratio: float
    on_front: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tradeoff:
    """The points of one (model, chain, transport, engine, batch) with all its codecs, over its networks."""

    condition: Condition
    trades: tuple[Trade, ...]

    @property
    def title(self) -> str:
        """A title for figures."""
        return f"{self.condition._replace(codec=PLAIN).study_label()} · codecs"

    @property
    def slug(self) -> str:
        """A file name without its extension."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    @property
    def networks(self) -> tuple[str, ...]:
        """Its networks, in the order run."""
        return tuple(dict.fromkeys(trade.point.condition.network for trade in self.trades))

    def under(self, network: str) -> list[Trade]:
        """Give the trades of one network."""
        return [trade for trade in self.trades if trade.point.condition.network == network]


class _Run(NamedTuple):
    """What of a run is needed here."""

    split: str
    window: int
    weights: str
    relative_error: float
    top1_agreement: float
    hops: Sequence[Mapping[str, Any]]


def find_tradeoffs(runs: pd.DataFrame, points: Sequence[Point]) -> list[Tradeoff]:
    """Return a trade-off for each study that was run with several codecs and whose error is known."""
    known = _collect(runs)
    by_study: dict[Condition, list[Point]] = {}
    for point in points:
        # what crosses no link has no codec: of the unsplit model on the first device one is enough
        if (point.condition, point.split) in known and not _repeated(point, known):
            by_study.setdefault(point.condition.study()._replace(codec=""), []).append(point)
    return [
        Tradeoff(condition=study, trades=tuple(_trades(own, known)))
        for study, own in by_study.items()
        if len({point.condition.codec for point in own}) > 1
    ]


def _collect(runs: pd.DataFrame) -> dict[tuple[Condition, str], list[_Run]]:
    """Return the runs that ended ok and know their error, by condition and split."""
    known = runs[(runs["status"] == "ok") & runs["relative_error"].notna()]
    if known["codec"].nunique() < 2:  # noqa: PLR2004 - one alone trades nothing
        return {}
    made = [_Run(*values) for values in pick(known, _Run._fields)]
    return {key: [made[place] for place in places] for key, places in by_point(known).items()}


def _repeated(point: Point, known: Mapping[tuple[Condition, str], Sequence[_Run]]) -> bool:
    plain = point.condition._replace(codec=PLAIN), point.split
    return point.condition.codec != PLAIN and not known[point.condition, point.split][0].hops and plain in known


def _trades(points: Sequence[Point], known: Mapping[tuple[Condition, str], Sequence[_Run]]) -> Iterator[Trade]:
    plain = {_without_codec(point): point for point in points if point.condition.codec == PLAIN}
    errors = {id(point): max(run.relative_error for run in known[point.condition, point.split]) for point in points}
    for point in points:
        rivals = [(other.latency.value, errors[id(other)]) for other in points if _meet(point, other)]
        runs, base = known[point.condition, point.split], plain.get(_without_codec(point))
        single = [run.hops for run in runs if run.window == 1] or [run.hops for run in runs]
        yield Trade(
            point=point,
            written=tuple(dict.fromkeys(hop["codec"] for run in runs for hop in run.hops)),
            relative_error=errors[id(point)],
            top1_agreement=min(_agreement(run) for run in runs),
            bytes_share=_bytes_share(runs[-1].hops),
            encode_ms=statistics.median(sum(hop["encode_ms"] for hop in hops) for hops in single),
            decode_ms=statistics.median(sum(hop["decode_ms"] for hop in hops) for hops in single),
            latency_ratio=point.latency.value / base.latency.value if base else math.nan,
            throughput_ratio=point.throughput.value / base.throughput.value if base else math.nan,
            on_front=not any(_beats(rival, (point.latency.value, errors[id(point)])) for rival in rivals),
        )


def _agreement(run: _Run) -> float:
    return math.nan if run.weights.startswith(_RANDOM) else run.top1_agreement


def _bytes_share(hops: Sequence[Mapping[str, Any]]) -> float:
    raw = sum(hop["raw_bytes"] or 0 for hop in hops)
    return sum(hop["bytes"] for hop in hops) / raw if raw else math.nan


def _without_codec(point: Point) -> tuple[Condition, str]:
    return point.condition._replace(codec=""), point.split


def _meet(one: Point, other: Point) -> bool:
    return one.condition._replace(codec="") == other.condition._replace(codec="")


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] <= other[0] and one[1] <= other[1]
