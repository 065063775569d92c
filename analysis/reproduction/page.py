"""The page: claims first, then the table, the fronts, the method and what differs; one self-contained file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analysis.conclusion import TIMES
from analysis.figures.front import draw_fronts
from analysis.figures.picture import Picture
from analysis.figures.style import write
from analysis.intervals import Interval
from analysis.numbers import number
from analysis.report.environment import page_environment
from analysis.reproduction import published
from analysis.reproduction.compute import Reproduction
from analysis.reproduction.counterpart import Comparison, Counterpart
from analysis.reproduction.differences import speed_ratio
from analysis.reproduction.figures import draw_shares
from analysis.reproduction.references import references_sentence
from analysis.reproduction.verdict import FAILS, HOLDS, OPEN, Verdict
from analysis.studies import Study

_CHIPS: dict[Verdict, str] = {HOLDS: "both", FAILS: "no", OPEN: "unclear"}


def build_page(found: Reproduction) -> str:
    """Return the page as HTML that needs no other file."""
    environment = page_environment("analysis.reproduction")
    environment.filters["figure"] = _figure
    environment.filters["pair"] = _pair
    runs = found.material.runs
    return environment.get_template("reproduction.html.j2").render(
        published=published,
        campaigns=[campaign.name for campaign in found.campaigns],
        runs=len(runs),
        good=int((runs["status"] == "ok").sum()),
        began=min(runs["started"]),
        ended=max(runs["started"]),
        models=found.material.models,
        batch=found.material.batch,
        findings=found.findings,
        chips=_CHIPS,
        references=found.references,
        references_sentence=references_sentence(found.references),
        numberings=found.numberings,
        network_times=found.network_times,
        rows=[_row(found, item) for item in found.comparisons],
        shares=_shares(found),
        fronts=[_front(study) for study in found.studies],
        differences=found.differences,
        cautions=found.cautions,
    )


def _row(found: Reproduction, item: Comparison) -> dict[str, Any]:
    return {
        "published": item.published,
        "implied_mbit": item.published.implied_mbit(item.published.candidates[-1]),
        "megabytes": item.published.candidates[-1].batch_bytes / 1e6,
        "measured": [
            {"one": one, "fits": one is item.fitting, "notes": "; ".join(_notes(found, item, one))}
            for one in item.measured
        ],
    }


def _notes(found: Reproduction, item: Comparison, one: Counterpart) -> list[str]:
    """Say what differs in one measured line."""
    off = 100 * (one.share.value - item.published.front_share)
    ours = sum(each.value for each in one.compute_ms) * published.BATCH / found.material.batch / 1000
    notes = [
        f"share {off:+.1f} points",
        f"{number(ours / sum(item.published.execution_s))}{TIMES} the printed time a batch of {published.BATCH}",
    ]
    if len(item.measured) > 1:
        notes.insert(0, "fits the printed share best" if one is item.fitting else "the other reading of the number")
    return notes


def _shares(found: Reproduction) -> Picture | None:
    if not any(item.measured for item in found.comparisons):
        return None
    speed = speed_ratio(found.material, found.comparisons)
    why = (
        "" if speed is None else f" Shares, for seconds do not compare: {number(speed)}{TIMES} the printed times here."
    )
    return Picture(
        title="The first device's share of the computing",
        description=f"Printed and measured over {published.PI_TO_PI}, where both devices are alike.{why}",
        svg=write(draw_shares(found.comparisons), "svg"),
    )


def _front(study: Study) -> Picture:
    return Picture(
        title=study.title,
        description="Each point is a split with its 95 % intervals, the stepped line the front; squares are the "
        "unsplit model on one device, which the published fronts lack.",
        svg=write(draw_fronts(study), "svg"),
    )


def _figure(value: str | float) -> str:
    """Write a figure of a verdict's evidence; whole numbers whole."""
    if isinstance(value, str | int):
        return str(value)
    return f"-{number(-value)}" if value < 0 else number(value)


def _pair(found: Sequence[Interval]) -> str:
    return " / ".join(number(each.value) for each in found)
