"""What was found about whole studies, as tables: moves over networks, recommendations, attainment."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from analysis.attainment import Attainment
from analysis.conclusion import Conclusion
from analysis.fronts import Front, Objective
from analysis.moves import Moves
from analysis.recommend import Robust
from analysis.studies import Study
from analysis.summary import Condition, Point

ALL_NETWORKS = "all"


def moves_frame(studies: Sequence[Study]) -> pd.DataFrame:
    """Return one row per network of each study with several, from the best to the worst."""
    rows = [row for study in studies if study.moves is not None for row in _move_rows(study.moves)]
    columns = [
        *Condition._fields, "place", "carry_ms", "front", "points", "references", "within_noise", "stayed", "came",
        "left", "unsure", "kept", "first_blocks_share", "first_compute_share", "hypervolume_ms_ips",
        "hypervolume_share", "hypervolume_latency_ms",
    ]  # fmt: skip
    return pd.DataFrame.from_records(rows, columns=columns)


def _move_rows(moves: Moves) -> Iterator[dict[str, object]]:
    for step in moves.steps:
        members = step.front.front_points
        yield {
            **step.front.condition._asdict(),
            "place": step.place,
            "carry_ms": step.carry_ms,
            "front": _listed([point.split for point in members]),
            "points": len(members),
            "references": sum(point.is_reference for point in members),
            "within_noise": sum(step.front.within_noise),
            "stayed": _listed(step.stayed) if step.place else None,
            "came": _listed(step.came),
            "left": _listed(step.left),
            "unsure": _listed(step.unsure),
            "kept": step.kept,
            "first_blocks_share": step.first_blocks,
            "first_compute_share": step.first_compute,
            "hypervolume_ms_ips": step.hypervolume,
            "hypervolume_share": step.hypervolume_share,
            "hypervolume_latency_ms": moves.hypervolume_latency_ms,
        }


def _listed(splits: Sequence[str]) -> str | None:
    return " ".join(splits) or None


def recommendations_frame(studies: Sequence[Study], conclusions: Sequence[Conclusion]) -> pd.DataFrame:
    """Return one row per goal and network, and one per goal for all networks of a study."""
    by_front = {item.front: item for item in conclusions}
    rows: list[dict[str, object]] = []
    for study in studies:
        for front in study.fronts:
            rows += _network_rows(by_front[front])
        rows += [_robust_row(study, item) for item in study.robust]
    columns = [
        *Condition._fields, "goal", "split", "latency_ms", "throughput_ips", "latency_regret", "throughput_regret",
        "latency_regret_network", "throughput_regret_network", "probability",
    ]  # fmt: skip
    return pd.DataFrame.from_records(rows, columns=columns)


def _network_rows(item: Conclusion) -> Iterator[dict[str, object]]:
    chosen: dict[str, tuple[Point | None, float]] = {
        "least latency": (item.least_latency, best_probability(item.front, item.least_latency, "latency")),
        "most throughput": (item.most_throughput, best_probability(item.front, item.most_throughput, "throughput")),
        "knee": (item.knee, math.nan),
    }
    condition = item.front.condition
    for goal, (point, probability) in chosen.items():
        if point is not None:
            yield {
                **condition._asdict(),
                "goal": goal,
                "split": point.split,
                "latency_ms": point.latency.value,
                "throughput_ips": point.throughput.value,
                "latency_regret": point.latency.value / item.least_latency.latency.value,
                "throughput_regret": item.most_throughput.throughput.value / point.throughput.value,
                "latency_regret_network": condition.network,
                "throughput_regret_network": condition.network,
                "probability": probability,
            }


def best_probability(front: Front, point: Point, objective: Objective) -> float:
    """Return the share of replicates in which no point is better than this one; NaN where any was run once."""
    estimates = [item.latency if objective == "latency" else item.throughput for item in front.points]
    if any(estimate.runs <= 1 for estimate in estimates):
        return math.nan
    drawn = np.stack([estimate.replicates for estimate in estimates])
    own = drawn[front.points.index(point)]
    best = drawn.min(axis=0) if objective == "latency" else drawn.max(axis=0)
    return float((own == best).mean())


def _robust_row(study: Study, item: Robust) -> dict[str, object]:
    return {
        **study.condition._replace(network=ALL_NETWORKS)._asdict(),
        "goal": f"robust {item.goal}",
        "split": item.split,
        "latency_ms": math.nan,
        "throughput_ips": math.nan,
        "latency_regret": item.latency_regret,
        "throughput_regret": item.throughput_regret,
        "latency_regret_network": item.latency_network,
        "throughput_regret_network": item.throughput_network,
        "probability": item.probability,
    }


def attainment_frame(studies: Sequence[Study]) -> pd.DataFrame:
    """Return one row per corner of each condition's attainment surfaces."""
    rows = [row for study in studies for found in study.attainments for row in _corner_rows(found)]
    columns = [*Condition._fields, "repeats", "percent", "latency_ms", "throughput_ips"]
    return pd.DataFrame.from_records(rows, columns=columns)


def _corner_rows(found: Attainment) -> Iterator[dict[str, object]]:
    for percent, corners in found.surfaces.items():
        for latency, rate in corners:
            yield {
                **found.condition._asdict(),
                "repeats": found.repeats,
                "percent": percent,
                "latency_ms": latency,
                "throughput_ips": rate,
            }
