"""What the contest is to show, and whether it does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from bench.contest.compare import (
    EQUAL_NUMERICS,
    EQUAL_NUMERICS_ONE_SPLIT,
    EVERY_MODEL,
    EVERYTHING_ON,
    Contrast,
    Figure,
    Pairing,
)

Verdict = Literal["met", "met within noise", "missed within noise", "missed", "not measured"]


class Target(NamedTuple):
    """A ratio that is to be at least ``least``; empty ``model`` or ``network`` stand for each one measured."""

    text: str
    pairing: Pairing
    figure: Figure
    least: float
    network: str = ""
    model: str = ""


class Judged(NamedTuple):
    """A target, the verdict, and the ratio that decides: of several the least."""

    target: Target
    verdict: Verdict
    worst: Contrast | None


TARGETS = (
    Target(
        "100 Mbit/s, equal numerics: throughput at least 1.7 times the pickle transport's, each model",
        EQUAL_NUMERICS,
        "throughput",
        1.7,
        network="mbit100",
    ),
    Target(
        "100 Mbit/s, equal numerics, both at one split: throughput at least 1.7 times, each model",
        EQUAL_NUMERICS_ONE_SPLIT,
        "throughput",
        1.7,
        network="mbit100",
    ),
    Target(
        "lan, everything on: throughput at least 2.5 times, geometric mean",
        EVERYTHING_ON,
        "throughput",
        2.5,
        network="lan",
        model=EVERY_MODEL,
    ),
    Target(
        "lan, everything on: throughput at least 4 times, MobileNetV2",
        EVERYTHING_ON,
        "throughput",
        4.0,
        network="lan",
        model="mobilenet_v2",
    ),
    Target(
        "5 Mbit/s, everything on: throughput at least 4 times, geometric mean",
        EVERYTHING_ON,
        "throughput",
        4.0,
        network="mbit5",
        model=EVERY_MODEL,
    ),
    Target("equal numerics: response lower, each model and network", EQUAL_NUMERICS, "response", 1.0),
    Target("everything on: response lower, each model and network", EVERYTHING_ON, "response", 1.0),
)


def judge(found: Sequence[Contrast], targets: Sequence[Target] = TARGETS) -> list[Judged]:
    """Hold each target against the least of the ratios that it is about.

    ``met``: the whole 95 % interval is on the good side; ``missed``: on the other.  In between, and where a single
    repeat gives no interval, the value decides and the verdict says ``within noise``.
    """
    return [_judge(target, found) for target in targets]


def _judge(target: Target, found: Sequence[Contrast]) -> Judged:
    own = [contrast for contrast in found if _is_about(target, contrast)]
    if not own:
        return Judged(target, "not measured", None)
    worst = min(own, key=lambda contrast: contrast.ratio.value)
    ratio = worst.ratio
    if not math.isnan(ratio.low) and ratio.low >= target.least:
        return Judged(target, "met", worst)
    if not math.isnan(ratio.high) and ratio.high < target.least:
        return Judged(target, "missed", worst)
    return Judged(target, "met within noise" if ratio.value >= target.least else "missed within noise", worst)


def _is_about(target: Target, contrast: Contrast) -> bool:
    models = {target.model} if target.model else {contrast.model} - {EVERY_MODEL}
    networks = {target.network} if target.network else {contrast.network}
    return (
        contrast.pairing == target.pairing
        and contrast.figure == target.figure
        and contrast.model in models
        and contrast.network in networks
    )
