"""Everything computed from a set of campaigns, before anything is printed, drawn or written."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import pandas as pd

from analysis.campaigns import Campaign
from analysis.cautions import failures, find_cautions
from analysis.codecs import Tradeoff, find_tradeoffs
from analysis.conclusion import Conclusion, conclude
from analysis.devices import devices_frame
from analysis.errors import AnalysisError
from analysis.frame import runs_frame
from analysis.fronts import Front, find_fronts
from analysis.halves import Halves, check_halves
from analysis.journal import Journal
from analysis.networks import links_frame
from analysis.provenance import Provenance, read_provenance
from analysis.studies import Study, find_studies
from analysis.summary import Point, summarise, usable
from analysis.transport_summary import Summary, summarise_transports
from analysis.transports import Comparison, compare_transports

# command line option -> column that it selects on
FILTERS = ("model", "chain", "network", "transport", "batch")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Analysis:
    """The runs, their fronts, and all that follows from them, which is computed when it is first asked for.

    ``hypervolume_latency_ms`` is the latency up to which hypervolumes count, None for the greatest of each condition.
    """

    campaigns: tuple[Campaign, ...]
    runs: pd.DataFrame
    points: tuple[Point, ...]
    fronts: tuple[Front, ...]
    hypervolume_latency_ms: float | None

    @functools.cached_property
    def failed(self) -> pd.DataFrame:
        """The runs that did not end ok and were not made good."""
        return failures(self.runs)

    @functools.cached_property
    def conclusions(self) -> tuple[Conclusion, ...]:
        """What each front comes to, in their order."""
        return tuple(conclude(front) for front in self.fronts)

    @functools.cached_property
    def studies(self) -> tuple[Study, ...]:
        """The fronts that differ in nothing but the network, together."""
        return tuple(find_studies(self.fronts, self.runs, self.hypervolume_latency_ms))

    @functools.cached_property
    def transports(self) -> tuple[Comparison, ...]:
        """TCP against RPC."""
        return tuple(compare_transports(self.runs))

    @functools.cached_property
    def transport_summaries(self) -> tuple[Summary, ...]:
        """TCP against RPC over all splits."""
        return tuple(summarise_transports(self.transports))

    @functools.cached_property
    def tradeoffs(self) -> tuple[Tradeoff, ...]:
        """Codecs against each other."""
        return tuple(find_tradeoffs(self.runs, self.points))

    @functools.cached_property
    def latency_halves(self) -> Halves:
        """One half of the repeats against the other, in latency."""
        return check_halves(point.latency for point in self.points)

    @functools.cached_property
    def throughput_halves(self) -> Halves:
        """One half of the repeats against the other, in throughput."""
        return check_halves(point.throughput for point in self.points)

    @functools.cached_property
    def cautions(self) -> tuple[str, ...]:
        """What a reader must know before believing a figure."""
        return tuple(find_cautions(self.runs, self.fronts))

    @functools.cached_property
    def devices(self) -> pd.DataFrame:
        """What the devices did while they measured; see :func:`devices_frame`."""
        return devices_frame(self.runs)

    @functools.cached_property
    def links(self) -> pd.DataFrame:
        """What the links were asked to do and did; see :func:`links_frame`."""
        return links_frame(self.runs)

    @functools.cached_property
    def provenance(self) -> tuple[Provenance, ...]:
        """Where the runs come from."""
        return tuple(item for campaign in self.campaigns for item in read_provenance(campaign))


def analyse(
    campaigns: Sequence[Campaign],
    journal: Journal,
    select: dict[str, list[str]] | None = None,
    hypervolume_latency_ms: float | None = None,
) -> Analysis:
    """Compute the fronts of the campaigns, whose runs are ``journal``; see :func:`choose_runs`."""
    return analyse_runs(campaigns, choose_runs(campaigns, journal, select), hypervolume_latency_ms)


def choose_runs(
    campaigns: Sequence[Campaign], journal: Journal, select: dict[str, list[str]] | None = None
) -> pd.DataFrame:
    """Return the runs whose columns (see :data:`FILTERS`) have one of the values of ``select``.

    Raises :class:`AnalysisError` when nothing is left, or none of it can stand on a front.
    """
    runs = _select(runs_frame(journal), select or {})
    if not (usable(runs) & (runs["window"] == 1)).any():
        raise AnalysisError(_nothing(runs, campaigns))
    return runs


def analyse_runs(
    campaigns: Sequence[Campaign], runs: pd.DataFrame, hypervolume_latency_ms: float | None = None
) -> Analysis:
    """Compute the fronts of runs that :func:`choose_runs` gave."""
    points = summarise(runs)
    return Analysis(
        campaigns=tuple(campaigns),
        runs=runs,
        points=tuple(points),
        fronts=tuple(find_fronts(points, hypervolume_latency_ms)),
        hypervolume_latency_ms=hypervolume_latency_ms,
    )


def _select(runs: pd.DataFrame, select: dict[str, list[str]]) -> pd.DataFrame:
    for column, values in select.items():
        present = runs[column].astype(str)
        unknown = [value for value in values if value not in set(present)]
        if unknown:
            known = ", ".join(dict.fromkeys(present))
            raise AnalysisError(f"no run with {column} {', '.join(unknown)}; there are: {known}")
        attributes = runs.attrs
        runs = runs[present.isin(values)]
        runs.attrs = attributes
    if runs.empty:
        raise AnalysisError(f"no run is left by {select}; take one of these options away")
    return runs


def _nothing(runs: pd.DataFrame, campaigns: Sequence[Campaign]) -> str:
    where = ", ".join(str(campaign.journal) for campaign in campaigns)
    good = runs[runs["status"] == "ok"]
    if len(good):
        return (
            f"{where}: none of the {len(good)} runs that ended ok has window 1, so there is no latency to show; "
            "sweep with window=1,4"
        )
    reasons = [f"{split}: {reason}" for split, reason in zip(runs["split"], runs["reason"], strict=True)]
    return (
        f"{where}: none of the {len(runs)} runs ended ok, so there is nothing to show. First reason: "
        f"{reasons[0]}. Sweep again with retry_failed=true"
    )
