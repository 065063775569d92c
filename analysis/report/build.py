"""Put figures, tables, provenance and warnings into one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from analysis.bounds_tables import overview
from analysis.codecs import Tradeoff
from analysis.compute import Analysis
from analysis.conclusion import TIMES, Conclusion
from analysis.devices import FIGURES
from analysis.figures.picture import Picture
from analysis.numbers import percent, signed
from analysis.report.environment import page_environment
from analysis.studies import Study
from analysis.terminal import WORTH_TEXT, interval, roles, spread, standing
from analysis.transports import BASE, OTHER, Comparison
from analysis.words import bounds_words, halves_words, moves_words, recommend_words, times, transport_words

_DEVICE_HEADINGS = {
    "cpu_percent": "CPU % stage",
    "device_cpu_percent": "CPU % device",
    "waited_percent": "waited %",
    "quota_throttled_percent": "quota %",
    "stolen_percent": "stolen %",
    "device_memory_percent": "memory %",
    "rss_mb": "stage's memory MiB",
    "temperature_c": "°C",
    "gpu_utilisation_percent": "GPU %",
    "gpu_memory_mb": "GPU memory MiB",
    "gpu_energy_j": "GPU energy J",
    "sampler_percent": "sampler %",
}


def build_report(analysis: Analysis, pictures_of: Callable[[str], Sequence[Picture]], left_out: str = "") -> str:
    """Return the report; ``pictures_of`` gives those of a slug when they are shown, ``left_out`` says what is not."""
    environment = page_environment()
    environment.filters["interval"] = interval
    environment.filters["ratio"] = times
    environment.filters["percent"] = percent
    environment.filters["signed"] = signed
    environment.filters["spread"] = spread
    environment.filters["heading"] = _DEVICE_HEADINGS.__getitem__
    runs = analysis.runs
    return environment.get_template("report.html.j2").render(
        title=", ".join(dict.fromkeys(front.condition.model for front in analysis.fronts)),
        campaigns=[campaign.name for campaign in analysis.campaigns],
        began=min(runs["started"]),
        ended=max(runs["started"]),
        pictures_of=pictures_of,
        runs=len(runs),
        good=int((runs["status"] == "ok").sum()),
        times=TIMES,
        studies=[_study(study, analysis) for study in analysis.studies],
        halves=halves_words(analysis.latency_halves, analysis.throughput_halves),
        transports=[_transports(item) for item in analysis.transports],
        transport_words=transport_words(analysis.transport_summaries),
        transport_summaries=analysis.transport_summaries,
        tradeoffs=[_tradeoff(item) for item in analysis.tradeoffs],
        base=BASE,
        other=OTHER,
        cautions=[*analysis.cautions, left_out] if left_out else analysis.cautions,
        devices=_devices(analysis.devices),
        links=analysis.links.to_dict("records"),
        failed=_failed(analysis),
        provenance=analysis.provenance,
    )


def _study(study: Study, analysis: Analysis) -> dict[str, Any]:
    conclusions = [item for item in analysis.conclusions if item.front in study.fronts]
    return {
        "slug": study.slug,
        "title": study.title,
        "conclusions": [_conclusion(item) for item in conclusions],
        "words": [*recommend_words(conclusions, study.robust), *bounds_words(overview(study.nearness))],
        "moves": study.moves,
        "moves_words": None if study.moves is None else moves_words(study.moves),
        "overview": overview(study.nearness),
        "nearness": study.nearness,
        "fronts": [
            {
                "network": front.condition.network,
                "hypervolume": front.hypervolume,
                "references": front.hypervolume_references,
                "limit": front.hypervolume_latency_ms,
                "rows": [
                    {
                        "point": point,
                        "on_front": on,
                        "near": near,
                        "standing": standing(on_front=on, near=near, probability=share),
                        "roles": roles(front, point),
                    }
                    for point, on, near, share in zip(
                        front.points, front.on_front, front.within_noise, front.probability, strict=True
                    )
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


def _transports(comparison: Comparison) -> dict[str, Any]:
    return {
        "title": comparison.title,
        "slug": comparison.slug,
        "pairs": comparison.splits,
    }


def _tradeoff(tradeoff: Tradeoff) -> dict[str, Any]:
    return {"title": tradeoff.title, "slug": tradeoff.slug, "trades": tradeoff.trades}


def _devices(found: pd.DataFrame) -> dict[str, Any]:
    """Return the devices' table without the figures that none of them has."""
    return {
        "figures": [name for name in FIGURES if found[name].notna().any()],
        "rows": found.to_dict("records"),
    }


def _failed(analysis: Analysis) -> list[dict[str, Any]]:
    columns = ["model", "chain", "network", "split", "window", "repeat", "status", "failed_device", "reason"]
    return [
        {str(key): value for key, value in record.items()} for record in analysis.failed[columns].to_dict("records")
    ]
