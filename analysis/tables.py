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
from analysis.numbers import DASH, number
from analysis.studies import Study
from analysis.summary import Estimate, Point

_NESTED = ("stages", "hops", "link", "batch_latency_ms", "batch_response_ms", "warmup_response_ms")
_WORTH_STYLE = {"both": "bold green", "latency": "green", "throughput": "green", "no": "bold red", "unclear": "yellow"}
WORTH_TEXT = {"both": "in both", "latency": "in latency", "throughput": "in throughput"}


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


def interval(estimate: Estimate) -> str:
    """Write an interval, or nothing where there is none."""
    return "" if math.isnan(estimate.low) else f"[{number(estimate.low)}, {number(estimate.high)}]"


def roles(front: Front, point: Point) -> list[str]:
    """Name what a point is within its front."""
    members = front.front_points
    if len(members) == 1:
        names = ["best in both"] if point is members[0] else []
    else:
        ends = {"least latency": members[0], "most throughput": members[-1], "knee": front.knee}
        names = [name for name, end in ends.items() if point is end]
    if point.is_reference:
        names.append("unsplit")
    return names


def conclusion_table(study: Study, conclusions: Sequence[Conclusion]) -> Table:
    """Return the answer for one study: a line per network."""
    table = _table(study.title, ("network", "least latency", "most throughput", "knee", "beats unsplit?"))
    table.add_column("latency", justify="right")
    table.add_column("throughput", justify="right")
    for item in conclusions:
        table.add_row(
            item.front.condition.network,
            f"{item.least_latency.split}  {number(item.least_latency.latency.value)} ms",
            f"{item.most_throughput.split}  {number(item.most_throughput.throughput.value)} img/s",
            "none" if item.knee is None else item.knee.split,
            _worth_text(item),
            _factor(item.latency_gain),
            _factor(item.throughput_gain),
        )
    return table


def front_table(front: Front, *, every: bool = False) -> Table:
    """Return one front: its points by latency and the references; ``every`` adds the dominated splits."""
    table = _table(f"front: {front.condition.network}", ("split",))
    for heading in ("latency ms", "95 %", "images/s", "95 %", "on front"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for point, on_front, probability in _lines(front, every=every):
        table.add_row(
            point.split,
            number(point.latency.value),
            interval(point.latency),
            number(point.throughput.value),
            interval(point.throughput),
            _share(on_front=on_front, probability=probability),
            ", ".join(roles(front, point)),
            style="" if on_front else "dim",
        )
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_style="bold", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in columns:
        table.add_column(heading)
    return table


def _worth_text(item: Conclusion) -> Text:
    if item.worth is None:
        return Text("nothing to compare", style="dim")
    return Text(WORTH_TEXT.get(item.worth, item.worth), style=_WORTH_STYLE[item.worth])


def _factor(gain: Comparison | None) -> str:
    return DASH if gain is None else f"{gain.factor:.2f}{TIMES}"


def _share(*, on_front: bool, probability: float) -> str:
    if math.isnan(probability):
        return "yes" if on_front else "no"
    return f"{probability:.0%}"


def _lines(front: Front, *, every: bool) -> Iterator[tuple[Point, bool, float]]:
    """Yield a front's points by latency, then the other references, then (if asked for) the rest."""
    rows = list(zip(front.points, front.on_front, front.probability, strict=True))
    rows.sort(key=lambda row: (not row[1], not row[0].is_reference, row[0].latency.value))
    yield from (row for row in rows if every or row[1] or row[0].is_reference)
