"""The twelve printed rows beside the same splits measured here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.intervals import Interval, interval
from analysis.networks import NetworkQuality
from analysis.reproduction.material import Material
from analysis.reproduction.published import PI_TO_PI, ROWS, Candidate, PublishedRow

Run = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counterpart:
    """One candidate split measured over Pi to Pi under the best link.

    Times are ms per batch of the campaign; ``share`` is the first device's of the computing; ``transfer_ms``
    includes the link's delay.  CPU % and memory % are of the runs with several batches in flight, where there are
    any: the published sender does not wait for an answer either.  Every interval is over repeats.
    """

    candidate: Candidate
    runs: int
    compute_ms: tuple[Interval, Interval]
    share: Interval
    transfer_ms: Interval
    bytes: int
    cpu_percent: tuple[Interval, Interval]
    memory_percent: tuple[Interval, Interval]
    link: NetworkQuality

    @property
    def rate_mbit(self) -> float:
        """The rate at which the bytes crossed, the delay taken off."""
        return self.bytes * 8e-3 / max(self.transfer_ms.value - self.link.delay_ms, 1e-6)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """A printed row and what was measured of its candidates; none where the split was not run."""

    published: PublishedRow
    measured: tuple[Counterpart, ...]

    @property
    def fitting(self) -> Counterpart | None:
        """The candidate whose share of the computing is nearest to the printed one."""
        return min(self.measured, key=lambda found: abs(found.share.value - self.published.front_share), default=None)


def compare_rows(material: Material) -> list[Comparison]:
    """Look up every printed row in the campaign; the best link that the split was run under counts."""
    runs = material.runs
    good = runs[(runs["status"] == "ok") & (runs["chain"] == PI_TO_PI) & (runs["transport"] == "tcp")]
    found = []
    for row in ROWS:
        own = good[good["model"] == row.model]
        measured = [_measure(own, candidate, material.networks) for candidate in row.candidates]
        found.append(Comparison(published=row, measured=tuple(item for item in measured if item is not None)))
    return found


def _measure(runs: pd.DataFrame, candidate: Candidate, networks: Sequence[NetworkQuality]) -> Counterpart | None:
    own = runs[runs["split"] == candidate.split]
    for link in networks:
        here = own[own["network"] == link.network]
        single = [run for run in _records(here[here["window"] == 1]) if len(run["stages"]) == 2 and run["hops"]]  # noqa: PLR2004 - a pair
        if single:
            busy = [run for run in _records(here[here["window"] > 1]) if len(run["stages"]) == 2]  # noqa: PLR2004 - a pair
            return _counterpart(candidate, single, busy or single, link)
    return None


def _records(runs: pd.DataFrame) -> list[Run]:
    return [
        {"stages": stages, "hops": hops} for stages, hops in runs[["stages", "hops"]].itertuples(index=False, name=None)
    ]


def _counterpart(candidate: Candidate, single: Sequence[Run], busy: Sequence[Run], link: NetworkQuality) -> Counterpart:
    def pair(runs: Sequence[Run], column: str) -> tuple[Interval, Interval]:
        return (
            over_runs(runs, lambda run: run["stages"][0][column]),
            over_runs(runs, lambda run: run["stages"][1][column]),
        )

    return Counterpart(
        candidate=candidate,
        runs=len(single),
        compute_ms=pair(single, "compute_ms"),
        share=over_runs(single, lambda run: run["stages"][0]["compute_ms"] / sum(_computing(run))),
        transfer_ms=over_runs(single, lambda run: run["hops"][0]["transfer_ms"]),
        bytes=single[0]["hops"][0]["bytes"],
        cpu_percent=pair(busy, "cpu_percent"),
        memory_percent=pair(busy, "memory_percent"),
        link=link,
    )


def _computing(run: Run) -> list[float]:
    return [stage["compute_ms"] for stage in run["stages"]]


def over_runs(runs: Sequence[Run], figure: Callable[[Run], float]) -> Interval:
    """Return the median of a figure over runs, with its interval."""
    return interval([[figure(run)] for run in runs])
