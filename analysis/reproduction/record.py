"""The verdicts as data: what ``reproduction.json`` holds."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import msgspec

from analysis.intervals import Interval
from analysis.reproduction import published
from analysis.reproduction.compute import Reproduction
from analysis.reproduction.counterpart import Comparison, Counterpart
from analysis.reproduction.references import references_sentence

_DIGITS = 6


def write_record(found: Reproduction) -> bytes:
    """Return the record as indented JSON; figures to six digits, so that equal runs give equal bytes anywhere."""
    record = {
        "published": {
            "title": published.TITLE, "year": published.YEAR, "identifier": published.IDENTIFIER,
            "table": published.TABLE,
        },
        "campaigns": [campaign.name for campaign in found.campaigns],
        "runs": len(found.material.runs),
        "batch": found.material.batch,
        "networks": [quality.network for quality in found.material.networks],
        "claims": [
            {
                **dataclasses.asdict(item.claim), "verdict": item.verdict, "sentence": item.sentence,
                "evidence": dataclasses.asdict(item.evidence), "notes": item.notes, "missing": item.missing,
                "command": item.command,
            }
            for item in found.findings
        ],
        "rows": [_comparison(item) for item in found.comparisons],
        "numbering": [item.sentence for item in found.numberings],
        "published_network_times": found.network_times.sentence,
        "splitting_beats_unsplit": {
            "sentence": references_sentence(found.references),
            "counts": [dataclasses.asdict(tally) for tally in found.references],
        },
        "differences": [item._asdict() for item in found.differences],
        "left_out": found.material.left_out,
    }  # fmt: skip
    return msgspec.json.format(msgspec.json.encode(_plain(record)), indent=2) + b"\n"


def _comparison(item: Comparison) -> dict[str, Any]:
    row = item.published
    return {
        "model": row.model, "split": row.split, "execution_s": row.execution_s, "front_share": row.front_share,
        "network_s": row.network_s, "implied_mbit": row.implied_mbit(row.candidates[-1]),
        "cpu_percent": row.cpu_percent, "memory_percent": row.memory_percent,
        "fits": None if item.fitting is None else item.fitting.candidate.split,
        "measured": [_counterpart(one) for one in item.measured],
    }  # fmt: skip


def _counterpart(one: Counterpart) -> dict[str, Any]:
    return {
        "split": one.candidate.split, "network": one.link.network, "runs": one.runs, "bytes": one.bytes,
        "rate_mbit": one.rate_mbit, "front_share": _interval(one.share), "transfer_ms": _interval(one.transfer_ms),
        "compute_ms": [_interval(each) for each in one.compute_ms],
        "cpu_percent": [_interval(each) for each in one.cpu_percent],
        "memory_percent": [_interval(each) for each in one.memory_percent],
    }  # fmt: skip


def _interval(found: Interval) -> list[float]:
    return [found.value, found.low, found.high]


def _plain(value: Any) -> Any:
    """Round figures and write what is not a number as null."""
    if isinstance(value, float):
        return None if not math.isfinite(value) else float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
