"""The whole comparison: both beds, one after the other, and what they are asked to do."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from bench.netem.beds import emulator_bed, netem_bed
from bench.netem.guest import make_image, why_not
from bench.netem.measure import Amounts, measure_side
from bench.netem.results import Results
from bench.testbed import PROJECT, BenchError

# Beside the shipped conditions one whose loss is frequent enough to tell shares apart.
LOSSY = {"lossy": {"rate_mbit": 50, "delay_ms": 5, "jitter_ms": 2, "loss_percent": 2}}


def conditions() -> dict[str, dict[str, Any]]:
    """Give the conditions that are measured: those the inventory ships, and ``lossy``."""
    shipped = yaml.safe_load((PROJECT / "inventory/group_vars/all/networks.yml").read_text(encoding="utf-8"))
    return {**shipped["networks"], **LOSSY}


def measure_both(
    folder: Path, asked: Mapping[str, Mapping[str, Any]] | None = None, amounts: Amounts | None = None
) -> Results:
    """Measure all conditions, or those ``asked``, on both beds; BenchError where a bed cannot be had."""
    reason = why_not()
    if reason is not None:
        raise BenchError(reason)
    make_image()
    chosen = {name: dict(condition) for name, condition in (asked or conditions()).items()}
    started = datetime.now(UTC).isoformat(timespec="seconds")
    sides = []
    for name, bed_of in (("netem", netem_bed), ("emulator", emulator_bed)):
        sys.stderr.write(f"measuring {', '.join(chosen)} with the {name}\n")
        place = folder / name
        place.mkdir(parents=True)
        with bed_of(place) as bed:
            sides.append(measure_side(bed, chosen, amounts or Amounts()))
    return Results(started=started, asked=chosen, netem=sides[0], emulator=sides[1])
