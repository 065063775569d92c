"""What a reader must know before believing a figure."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import pandas as pd

from analysis.alike import count_alike
from analysis.fronts import Front
from analysis.networks import distinct_links
from analysis.summary import Condition, splits_without_latency

OFFSET_SHARE = 0.05
SHOWN = 5


def find_cautions(runs: pd.DataFrame, fronts: Sequence[Front]) -> list[str]:
    """Return cautions as sentences: about the journal, the rows' own warnings, and the method."""
    found = list(runs.attrs.get("notes", []))
    found += _failures(runs)
    found += _unstable(runs)
    found += _row_warnings(runs)
    found += _links(runs)
    found += _mixed(runs)
    found += _clocks(runs)
    found += _design(runs, fronts)
    return found


def failures(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that ended as failed, timeout or invalid and were not made good by a retry."""
    return runs[(runs["status"] != "ok") & ~runs["superseded"]]


def _some(items: Sequence[str]) -> str:
    rest = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + rest


def _failures(runs: pd.DataFrame) -> list[str]:
    bad = failures(runs)
    retried = int(runs["superseded"].sum())
    notes = [f"{len(bad)} of {len(runs)} runs did not end ok and stand on no figure"] if len(bad) else []
    return notes + ([f"{retried} runs failed first and were ok when retried"] if retried else [])


def _row_warnings(runs: pd.DataFrame) -> list[str]:
    """Give each warning once with its count; those that differ in their figures alone count as one."""
    return [f"{text} ({count} of {len(runs)} runs)" for text, count in count_alike(runs["warnings"])]


def _unstable(runs: pd.DataFrame) -> list[str]:
    """Name the reasons for which runs should not be trusted, and the points that stand on such runs alone."""
    good = runs[runs["status"] == "ok"]
    shaky = good["unstable"].map(bool)
    if not shaky.any():
        return []
    reasons = "; ".join(f"{text}: {count}" for text, count in count_alike(good["unstable"]))
    keys = [*Condition._fields, "split"]
    whole = shaky.groupby([good[key] for key in keys], sort=False).all()
    names = [f"{Condition._make(key[:-1]).label()}: {key[-1]}" for key in whole[whole].index]
    alone = f"; no stable run of {_some(names)}" if names else ""
    return [f"{int(shaky.sum())} of {len(good)} runs are unstable, runs by reason: {reasons}{alone}"]


def _links(runs: pd.DataFrame) -> list[str]:
    """Name conditions under which one network's name stood for different links."""
    meanings: dict[tuple[str, str], set[str]] = {}
    for chain, network, link, _ in distinct_links(runs):
        if link:
            asked = sorted((side["source"], side["target"], json.dumps(side["asked"], sort_keys=True)) for side in link)
            meanings.setdefault((chain, network), set()).add(json.dumps(asked))
    mixed = [f"{chain}/{network}" for (chain, network), found in meanings.items() if len(found) > 1]
    return [f"the network's definition changed between runs of {_some(mixed)}: they are not alike"] if mixed else []


def _mixed(runs: pd.DataFrame) -> list[str]:
    good = runs[runs["status"] == "ok"]
    cells = good.groupby([*Condition._fields, "split", "window"], sort=False)["cell_id"].nunique()
    count = int((cells > 1).sum())
    if not count:
        return []
    return [
        f"{count} points merge cells that differ in batches, weights, inputs, seed, TLS or the network's definition"
    ]


def _clocks(runs: pd.DataFrame) -> list[str]:
    """Name splits whose one-way latency hangs on a clock offset that is not known well."""
    loose = []
    good = runs[(runs["status"] == "ok") & (runs["window"] == 1)]
    columns = good[["chain", "network", "split", "latency_ms", "latency_uncertainty_ms", "hops"]]
    for chain, network, split, latency, uncertainty, hops in columns.itertuples(index=False, name=None):
        if math.isnan(uncertainty):  # written before rows had it
            uncertainty = sum(hop["offset_uncertainty_ms"] for hop in hops)  # noqa: PLW2901 - see above
        if uncertainty > OFFSET_SHARE * latency:
            loose.append(f"{chain}/{network}/{split}")
    names = list(dict.fromkeys(loose))
    if not names:
        return []
    share = f"more than {OFFSET_SHARE:.0%} of the latency"
    return [f"the clock offset is uncertain by {share} of {_some(names)}: response_ms, timed by one clock, is safer"]


def _design(runs: pd.DataFrame, fronts: Sequence[Front]) -> list[str]:
    found = []
    points = [point for front in fronts for point in front.points]
    single = [point for point in points if point.latency.runs == 1]
    if single:
        found.append(
            f"{len(single)} of {len(points)} points were run once: their latency intervals come from the "
            "batches of that run alone and know nothing of drift, their throughput has none; "
            "repeats=3 or more would tell"
        )
    bare = [front.condition.label() for front in fronts if not front.references]
    if bare:
        found.append(f"no unsplit reference under {_some(bare)}: whether splitting pays cannot be told")
    lost = splits_without_latency(runs)
    if lost:
        found.append(f"no window 1 run, so no latency and no point, for {_some(lost)}")
    narrow = sum(point.throughput_window == 1 for point in points)
    if narrow:
        found.append(
            f"{narrow} of {len(points)} points have no run with several batches in flight: their throughput "
            "is that of window 1"
        )
    return found
