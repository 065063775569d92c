"""The results as tables: data frames, CSV and Parquet files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.bounds_tables import bounds_frame
from analysis.codecs_tables import codecs_frame
from analysis.compute import Analysis
from analysis.conclusion import Conclusion
from analysis.fronts import Comparison, Front
from analysis.halves import check_half
from analysis.study_tables import attainment_frame, moves_frame, recommendations_frame
from analysis.summary import Point
from analysis.transport_tables import transport_summary_frame, transports_frame


def points_frame(fronts: Sequence[Front]) -> pd.DataFrame:
    """Return one row per point: condition, medians, intervals, tails, and its place on the front."""
    return pd.DataFrame.from_records(
        [
            {
                **front.condition._asdict(),
                **_point(point),
                "on_front": on_front,
                "within_noise": near,
                "front_probability": probability,
                "knee": point is front.knee,
            }
            for front in fronts
            for point, on_front, near, probability in zip(
                front.points, front.on_front, front.within_noise, front.probability, strict=True
            )
        ]
    )


def _point(point: Point) -> dict[str, object]:
    return {
        "split": point.split,
        "reference": point.is_reference,
        "latency_ms": point.latency.value,
        "latency_low_ms": point.latency.low,
        "latency_high_ms": point.latency.high,
        "latency_basis": point.latency.basis,
        "latency_runs": point.latency.runs,
        "latency_p95_ms": point.latency_tail.p95,
        "latency_p99_ms": point.latency_tail.p99,
        "latency_uncertainty_ms": point.latency_uncertainty_ms,
        "response_ms": point.response_ms,
        "response_p95_ms": point.response_tail.p95,
        "response_p99_ms": point.response_tail.p99,
        "tail_batches": point.latency_tail.batches,
        "throughput_ips": point.throughput.value,
        "throughput_low_ips": point.throughput.low,
        "throughput_high_ips": point.throughput.high,
        "throughput_basis": point.throughput.basis,
        "throughput_runs": point.throughput.runs,
        "throughput_window": point.throughput_window,
        **point.near._asdict(),
        "latency_halves_covered": check_half(point.latency).share,
        "throughput_halves_covered": check_half(point.throughput).share,
        "unstable_runs": point.unstable_runs,
        "unstable": "; ".join(point.unstable) or None,
    }


def fronts_frame(conclusions: Sequence[Conclusion]) -> pd.DataFrame:
    """Return one row per condition: its best splits, knee, hypervolume and verdicts."""
    return pd.DataFrame.from_records(
        [
            {
                **item.front.condition._asdict(),
                "front": " ".join(point.split for point in item.front.front_points),
                "within_noise": " ".join(point.split for point in item.front.near_points) or None,
                "least_latency_split": item.least_latency.split,
                "least_latency_ms": item.least_latency.latency.value,
                "most_throughput_split": item.most_throughput.split,
                "most_throughput_ips": item.most_throughput.throughput.value,
                "knee_split": None if item.knee is None else item.knee.split,
                "hypervolume_ms_ips": item.front.hypervolume,
                "hypervolume_references_ms_ips": item.front.hypervolume_references,
                "hypervolume_latency_ms": item.front.hypervolume_latency_ms,
                "beats_unsplit": item.worth,
                **_gain("latency", item.latency_gain),
                **_gain("throughput", item.throughput_gain),
                "conclusion": item.sentence,
            }
            for item in conclusions
        ]
    )


def _gain(name: str, gain: Comparison | None) -> dict[str, object]:
    return {
        f"{name}_gain": math.nan if gain is None else gain.factor,
        f"{name}_gain_verdict": None if gain is None else gain.verdict,
        f"{name}_best_split": None if gain is None else gain.split.split,
        f"{name}_best_unsplit": None if gain is None else gain.reference.split,
    }


def make_tables(analysis: Analysis) -> dict[str, pd.DataFrame]:
    """Return every table by its name, but for those of single runs and stages."""
    return {
        "points": points_frame(analysis.fronts),
        "fronts": fronts_frame(analysis.conclusions),
        "recommendations": recommendations_frame(analysis.studies, analysis.conclusions),
        "moves": moves_frame(analysis.studies),
        "attainment": attainment_frame(analysis.studies),
        "bounds": bounds_frame([item for study in analysis.studies for item in study.nearness]),
        "transports": transports_frame(analysis.transports),
        "transport_summary": transport_summary_frame(analysis.transport_summaries),
        "codecs": codecs_frame(analysis.tradeoffs),
        "devices": analysis.devices,
        "links": analysis.links,
    }


def write_tables(analysis: Analysis, folder: Path) -> None:
    """Write every table of :func:`make_tables` as CSV and Parquet."""
    for name, table in make_tables(analysis).items():
        table.to_csv(folder / f"{name}.csv", index=False)
        table.to_parquet(folder / f"{name}.parquet", index=False)
