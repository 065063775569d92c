"""Put figures, tables, provenance and warnings into one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from analysis.compute import Analysis
from analysis.conclusion import TIMES, Conclusion
from analysis.figures.picture import Picture
from analysis.networks import links_frame
from analysis.numbers import number
from analysis.studies import Study
from analysis.tables import WORTH_TEXT, interval, roles


def build_report(analysis: Analysis, pictures: Mapping[str, Sequence[Picture]]) -> str:
    """Return the report; ``pictures`` go by the slug of their study."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["interval"] = interval
    runs = analysis.runs
    return environment.get_template("report.html.j2").render(
        title=", ".join(dict.fromkeys(front.condition.model for front in analysis.fronts)),
        campaigns=[campaign.name for campaign in analysis.campaigns],
        began=min(runs["started"]),
        ended=max(runs["started"]),
        runs=len(runs),
        good=int((runs["status"] == "ok").sum()),
        times=TIMES,
        studies=[_study(study, analysis, pictures.get(study.slug, ())) for study in analysis.studies],
        cautions=analysis.cautions,
        links=links_frame(runs).to_dict("records"),
        failed=_failed(analysis),
        provenance=analysis.provenance,
    )


def _study(study: Study, analysis: Analysis, pictures: Sequence[Picture]) -> dict[str, Any]:
    conclusions = [item for item in analysis.conclusions if item.front in study.fronts]
    return {
        "slug": study.slug,
        "title": study.title,
        "conclusions": [_conclusion(item) for item in conclusions],
        "pictures": pictures,
        "fronts": [
            {
                "network": front.condition.network,
                "hypervolume": front.hypervolume,
                "references": front.hypervolume_references,
                "limit": front.hypervolume_latency_ms,
                "rows": [
                    {"point": point, "on_front": on, "probability": share, "roles": roles(front, point)}
                    for point, on, share in zip(front.points, front.on_front, front.probability, strict=True)
                ],
            }
            for front in study.fronts
        ],
    }


def _conclusion(item: Conclusion) -> dict[str, Any]:
    return {
        "network": item.front.condition.network,
        "least_latency": item.least_latency,
        "most_throughput": item.most_throughput,
        "knee": item.knee,
        "worth": item.worth,
        "worth_text": None if item.worth is None else WORTH_TEXT.get(item.worth, item.worth),
        "sentence": item.sentence,
    }


def _failed(analysis: Analysis) -> list[dict[str, Any]]:
    columns = ["model", "chain", "network", "split", "window", "repeat", "status", "failed_device", "reason"]
    return [
        {str(key): value for key, value in record.items()} for record in analysis.failed[columns].to_dict("records")
    ]
