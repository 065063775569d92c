"""The results as tables: data frames, CSV and Parquet files, and what the terminal shows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from analysis.compute import Analysis
from analysis.conclusion import TIMES, Conclusion
from analysis.frame import stages_frame
from analysis.fronts import Comparison, Front
from analysis.networks import links_frame
from analysis.studies import Study
from analysis.summary import Estimate, Point

_NESTED = ("stages", "hops", "link", "batch_latency_ms", "batch_response_ms", "warmup_response_ms")
DASH = "\N{EN DASH}"
_VERDICT_STYLE = {"yes": "bold green", "no": "bold red", "unclear": "yellow"}


def points_frame(fronts: Sequence[Front]) -> pd.DataFrame:
    """Return one row per point: condition, medians, intervals, and its place on the front."""
    return pd.DataFrame.from_records(
        [
            {
                **front.condition._asdict(),
                "split": point.split,
                "reference": point.is_reference,
                "latency_ms": point.latency.value,
                "latency_low_ms": point.latency.low,
                "latency_high_ms": point.latency.high,
                "latency_basis": point.latency.basis,
                "latency_runs": point.latency.runs,
                "response_ms": point.response_ms,
                "throughput_ips": point.throughput.value,
                "throughput_low_ips": point.throughput.low,
                "throughput_high_ips": point.throughput.high,
                "throughput_basis": point.throughput.basis,
                "throughput_runs": point.throughput.runs,
                "throughput_window": point.throughput_window,
                "on_front": on_front,
                "front_probability": probability,
                "knee": point is front.knee,
            }
            for front in fronts
            for point, on_front, probability in zip(front.points, front.on_front, front.probability, strict=True)
        ]
    )


def fronts_frame(conclusions: Sequence[Conclusion]) -> pd.DataFrame:
    """Return one row per condition: its best splits, knee, hypervolume and verdicts."""
    return pd.DataFrame.from_records(
        [
            {
                **item.front.condition._asdict(),
                "front": " ".join(point.split for point in item.front.front_points),
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


def write_tables(analysis: Analysis, folder: Path) -> list[Path]:
    """Write every table as CSV and Parquet; return the files.

    The CSV of the runs lacks the nested columns, which have tables of their own or are in Parquet.
    """
    tables = {
        "points": points_frame(analysis.fronts),
        "fronts": fronts_frame(analysis.conclusions),
        "stages": stages_frame(analysis.runs),
        "links": links_frame(analysis.runs),
        "runs": analysis.runs,
    }
    written = []
    for name, table in tables.items():
        plain = table.drop(columns=[column for column in _NESTED if column in table])
        plain.to_csv(folder / f"{name}.csv", index=False)
        table.to_parquet(folder / f"{name}.parquet", index=False)
        written += [folder / f"{name}.csv", folder / f"{name}.parquet"]
    return written


def number(value: float) -> str:
    """Write a figure with three significant digits and its zeros, thousands apart; NaN is a dash."""
    if math.isnan(value):
        return DASH
    if value >= 100:  # noqa: PLR2004 - three digits stand before the point
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"  # noqa: PLR2004


def interval(estimate: Estimate) -> str:
    """Write an interval, or nothing where there is none."""
    return "" if math.isnan(estimate.low) else f"[{number(estimate.low)}, {number(estimate.high)}]"


def roles(front: Front, point: Point) -> list[str]:
    """Name what a point is within its front."""
    members = front.front_points
    names = []
    if point is members[0]:
        names.append("least latency")
    if point is members[-1]:
        names.append("most throughput")
    if point is front.knee:
        names.append("knee")
    if point.is_reference:
        names.append("unsplit")
    return names


def conclusion_table(study: Study, conclusions: Sequence[Conclusion]) -> Table:
    """Return the answer for one study: a line per network."""
    table = Table(title=study.title, title_style="bold", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("network", "least latency", "most throughput", "knee", "splitting beats unsplit?"):
        table.add_column(heading)
    for item in conclusions:
        table.add_row(
            item.front.condition.network,
            f"{item.least_latency.split}  {number(item.least_latency.latency.value)} ms",
            f"{item.most_throughput.split}  {number(item.most_throughput.throughput.value)} img/s",
            "none" if item.knee is None else item.knee.split,
            _verdict_text(item),
        )
    return table


def _verdict_text(item: Conclusion) -> Text:
    if item.worth is None:
        return Text("nothing to compare", style="dim")
    gains = [gain for gain in (item.latency_gain, item.throughput_gain) if gain is not None]
    figures = ", ".join(f"{gain.objective} {gain.factor:.2f}{TIMES}" for gain in gains)
    return Text.assemble((item.worth, _VERDICT_STYLE[item.worth]), f"  {figures}")


def front_table(study: Study, *, every: bool = False) -> Table:
    """Return a study's fronts, a section per network; ``every`` adds the dominated splits."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="fronts", title_style="bold", title_justify="left")
    table.add_column("network")
    table.add_column("split")
    for heading in ("latency ms", "95 %", "images/s", "95 %", "on front"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for front in study.fronts:
        for index, (point, on_front, probability) in enumerate(_lines(front, every=every)):
            table.add_row(
                front.condition.network if index == 0 else "",
                point.split,
                number(point.latency.value),
                interval(point.latency),
                number(point.throughput.value),
                interval(point.throughput),
                DASH if math.isnan(probability) else f"{probability:.0%}",
                ", ".join(roles(front, point)),
                style="" if on_front else "dim",
            )
        table.add_section()
    return table


def _lines(front: Front, *, every: bool) -> Iterator[tuple[Point, bool, float]]:
    """Yield a front's points by latency, then the other references, then (if asked for) the rest."""
    rows = list(zip(front.points, front.on_front, front.probability, strict=True))
    rows.sort(key=lambda row: (not row[1], not row[0].is_reference, row[0].latency.value))
    yield from (row for row in rows if every or row[1] or row[0].is_reference)
