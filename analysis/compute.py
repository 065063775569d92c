"""Everything computed from a set of campaigns, before anything is printed, drawn or written."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pandas as pd

from analysis.campaigns import Campaign
from analysis.cautions import failures, find_cautions
from analysis.codecs import Tradeoff, find_tradeoffs
from analysis.conclusion import Conclusion, conclude
from analysis.errors import AnalysisError
from analysis.frame import runs_frame
from analysis.fronts import Front, find_fronts
from analysis.halves import Halves, check_halves
from analysis.journal import Journal
from analysis.provenance import Provenance, read_provenance
from analysis.studies import Study, find_studies
from analysis.summary import summarise
from analysis.transport_summary import Summary, summarise_transports
from analysis.transports import Comparison, compare_transports

# command line option -> column that it selects on
FILTERS = ("model", "chain", "network", "transport", "batch")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Analysis:
    """The runs and all that follows from them; conclusions go with fronts.

    ``latency_halves`` and ``throughput_halves`` hold one half of the repeats against the other.
    """

    campaigns: tuple[Campaign, ...]
    runs: pd.DataFrame
    failed: pd.DataFrame
    fronts: tuple[Front, ...]
    conclusions: tuple[Conclusion, ...]
    studies: tuple[Study, ...]
    transports: tuple[Comparison, ...]
    transport_summaries: tuple[Summary, ...]
    tradeoffs: tuple[Tradeoff, ...]
    latency_halves: Halves
    throughput_halves: Halves
    cautions: tuple[str, ...]
    provenance: tuple[Provenance, ...]


def analyse(
    campaigns: Sequence[Campaign],
    journal: Journal,
    select: dict[str, list[str]] | None = None,
    hypervolume_latency_ms: float | None = None,
) -> Analysis:
    """Compute the fronts of the campaigns, whose runs are ``journal``.

    ``select`` keeps the runs whose column (see :data:`FILTERS`) has one of the values.  Raises
    :class:`AnalysisError` when nothing is left, or no run of it ended ok.
    """
    runs = _select(runs_frame(journal), select or {})
    points = summarise(runs)
    fronts = find_fronts(points, hypervolume_latency_ms)
    if not fronts:
        raise AnalysisError(_nothing(runs, campaigns))
    transports = compare_transports(runs)
    return Analysis(
        campaigns=tuple(campaigns),
        runs=runs,
        failed=failures(runs),
        fronts=tuple(fronts),
        conclusions=tuple(conclude(front) for front in fronts),
        studies=tuple(find_studies(fronts, runs, hypervolume_latency_ms)),
        transports=tuple(transports),
        transport_summaries=tuple(summarise_transports(transports)),
        tradeoffs=tuple(find_tradeoffs(runs, points)),
        latency_halves=check_halves(point.latency for point in points),
        throughput_halves=check_halves(point.throughput for point in points),
        cautions=tuple(find_cautions(runs, fronts)),
        provenance=tuple(item for campaign in campaigns for item in read_provenance(campaign)),
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
