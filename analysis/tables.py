"""The results as tables: data frames, CSV and Parquet files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.arrow import arrow_table, write_csv, write_parquet
from analysis.bounds_tables import bounds_frame
from analysis.codecs_tables import codecs_frame
from analysis.compute import Analysis
from analysis.conclusion import Conclusion
from analysis.devices import devices_frame
from analysis.frame import stages_frame
from analysis.fronts import Comparison, Front
from analysis.halves import check_half
from analysis.networks import links_frame
from analysis.study_tables import attainment_frame, moves_frame, recommendations_frame
from analysis.summary import Point
from analysis.transport_tables import transport_summary_frame, transports_frame

# these hold what the journal holds, and take as much room
_OF_RUNS = ("runs", "stages")
_NESTED = ("stages", "hops", "link", "batch_latency_ms", "batch_response_ms", "warmup_response_ms")


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
    """Return every table by its name."""
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
        "devices": devices_frame(analysis.runs),
        "stages": stages_frame(analysis.runs),
        "links": links_frame(analysis.runs),
        "runs": analysis.runs,
    }


def write_tables(analysis: Analysis, folder: Path, *, runs: bool = True) -> list[Path]:
    """Write every table as CSV and Parquet, those of single runs and stages only with ``runs``; return the files.

    The CSV of the runs lacks the nested columns, which have tables of their own or are in Parquet.
    """
    written = []
    for name, table in make_tables(analysis).items():
        if name in _OF_RUNS and not runs:
            continue
        if name in _OF_RUNS and not table.empty:
            plain = table.drop(columns=[column for column in _NESTED if column in table])
            write_csv(plain, folder / f"{name}.csv")
            write_parquet(arrow_table(table), folder / f"{name}.parquet")
        else:
            table.to_csv(folder / f"{name}.csv", index=False)
            table.to_parquet(folder / f"{name}.parquet", index=False)
        written += [folder / f"{name}.csv", folder / f"{name}.parquet"]
    return written
