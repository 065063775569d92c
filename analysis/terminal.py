"""What the terminal shows: the answer by study, and every front on request."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.bounds_tables import overview
from analysis.compute import Analysis
from analysis.conclusion import TIMES, Conclusion
from analysis.fronts import Comparison, Front
from analysis.intervals import Interval
from analysis.numbers import DASH, number, signed
from analysis.studies import Study
from analysis.summary import Estimate, Point
from analysis.transport_summary import Summary
from analysis.transports import BASE, OTHER
from analysis.words import bounds_words, halves_words, moves_words, robust_words, times

MOST_CAUTIONS = 8
_WORTH_STYLE = {"both": "bold green", "latency": "green", "throughput": "green", "no": "bold red", "unclear": "yellow"}
WORTH_TEXT = {"both": "in both", "latency": "in latency", "throughput": "in throughput"}


def show(analysis: Analysis, console: Console, *, every: bool) -> None:
    """Print the answers; ``every`` adds all fronts with all their points, and all warnings."""
    for study in analysis.studies:
        _show_study(study, [item for item in analysis.conclusions if item.front in study.fronts], console, every=every)
    if analysis.transport_summaries:
        console.print(*transport_tables(analysis.transport_summaries, every=every), sep="\n")
    halves = halves_words(analysis.latency_halves, analysis.throughput_halves)
    if halves is not None:
        console.print(halves, markup=False)
    _show_cautions(analysis, console, MOST_CAUTIONS if not every else len(analysis.cautions))


def _show_study(study: Study, conclusions: Sequence[Conclusion], console: Console, *, every: bool) -> None:
    console.print(conclusion_table(study, conclusions))
    for line in robust_words(study.robust, len(study.fronts)):
        console.print(line, markup=False)
    for line in bounds_words(overview(study.nearness)):
        console.print(line, markup=False)
    if study.moves is not None:
        console.print(moves_words(study.moves), markup=False)
    if every:
        for front in study.fronts:
            console.print(front_table(front))
    console.print()


def _show_cautions(analysis: Analysis, console: Console, most: int) -> None:
    for text in analysis.cautions[:most]:
        console.print(f"warning: {text}", style="yellow", markup=False)
    more = len(analysis.cautions) - most
    if more > 0:
        console.print(f"{more} more warnings in the report and with --every", style="yellow", markup=False)
    if len(analysis.failed):
        console.print(f"failed runs: {len(analysis.failed)}, listed with their reasons in the report", style="red")


def interval(estimate: Estimate) -> str:
    """Write an interval, or nothing where there is none."""
    return "" if math.isnan(estimate.low) else f"[{number(estimate.low)}, {number(estimate.high)}]"


def spread(found: Interval | None) -> str:
    """Write a figure that may be below zero with its interval; nothing for None."""
    if found is None:
        return ""
    return signed(found.value) + ("" if math.isnan(found.low) else f" [{signed(found.low)}, {signed(found.high)}]")


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


def standing(*, on_front: bool, near: bool, probability: float) -> str:
    """Say whether a point is on the front, and how surely."""
    sure = "" if math.isnan(probability) else f" {probability:.0%}"
    return ("yes" if on_front else "within noise" if near else "no") + sure


def conclusion_table(study: Study, conclusions: Sequence[Conclusion]) -> Table:
    """Return the answer for one study: a line per network."""
    table = _table(study.title, ())
    for heading in ("network", "least latency", "most throughput", "knee", "on front", "beats unsplit?"):
        table.add_column(heading, no_wrap=True)
    for heading in ("latency", "throughput"):
        table.add_column(heading, justify="right", no_wrap=True)
    for item in conclusions:
        near = len(item.front.near_points)
        table.add_row(
            item.front.condition.network,
            f"{item.least_latency.split}  {number(item.least_latency.latency.value)} ms",
            f"{item.most_throughput.split}  {number(item.most_throughput.throughput.value)}/s",
            "none" if item.knee is None else item.knee.split,
            f"{len(item.front.front_points)}" + (f" (+{near})" if near else ""),
            _worth_text(item),
            _factor(item.latency_gain),
            _factor(item.throughput_gain),
        )
    if any(item.front.near_points for item in conclusions):
        table.caption = "(+n): splits that are dominated within noise only"
        table.caption_justify = "left"
    return table


def front_table(front: Front) -> Table:
    """Return one front with all its points: the front by latency, then what is within noise, then the rest."""
    table = _table(f"front: {front.condition.network}", ("split",))
    for heading in ("latency ms", "95 %", "p99", "images/s", "95 %"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("on front", no_wrap=True)
    table.add_column("")
    for point, on_front, near, probability in _lines(front):
        table.add_row(
            point.split,
            number(point.latency.value),
            interval(point.latency),
            number(point.latency_tail.p99),
            number(point.throughput.value),
            interval(point.throughput),
            standing(on_front=on_front, near=near, probability=probability),
            ", ".join(roles(front, point)),
            style="" if on_front or near else "dim",
        )
    return table


def transport_tables(summaries: Sequence[Summary], *, every: bool) -> list[Table]:
    """Return the ratios of the transports per model and chain; with ``every`` a table per model, by network too."""
    chains = {(item.scope.model, item.scope.chain) for item in summaries if item.scope.chain}
    several = {model for model, _ in chains if sum(other == model for other, _ in chains) > 1}
    # where there is one chain, all chains say the same
    told = [item for item in summaries if item.scope.chain or item.scope.model in several]
    if not every:
        rows = [item for item in told if not item.scope.network]
        return [_ratios(f"{OTHER} against {BASE}", rows, ("model", "chain", "batch"))]
    models = dict.fromkeys((item.scope.model, item.scope.batch) for item in told)
    return [
        _ratios(
            f"{OTHER} against {BASE}: {model}, batch {batch}",
            [item for item in told if (item.scope.model, item.scope.batch) == (model, batch)],
            ("chain", "network"),
        )
        for model, batch in models
    ]


def _ratios(title: str, summaries: Sequence[Summary], names: Sequence[str]) -> Table:
    table = _table(f"{title}, median over splits", ())
    for heading in names:
        table.add_column(heading, no_wrap=True)
    for heading in ("window", "splits", "latency", "throughput", "overhead ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    for item in summaries:
        table.add_row(
            *(str(getattr(item.scope, name) or "all") for name in names),
            str(item.scope.window),
            str(item.splits),
            times(item.latency_ratio),
            times(item.throughput_ratio),
            _overheads(item),
        )
    return table


def _overheads(item: Summary) -> str:
    if item.base_overhead_ms is None or item.other_overhead_ms is None:
        return ""
    return f"{item.base_overhead_ms:.1f} → {item.other_overhead_ms:.1f}"


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


def _lines(front: Front) -> Iterator[tuple[Point, bool, bool, float]]:
    """Yield a front's points by latency, then those within noise, the other references, and the rest."""
    rows = list(zip(front.points, front.on_front, front.within_noise, front.probability, strict=True))
    yield from sorted(rows, key=lambda row: (not row[1], not row[2], not row[0].is_reference, row[0].latency.value))
