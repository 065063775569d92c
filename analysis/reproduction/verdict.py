"""A claim's verdict: what the data say, by which rule, and what is missing where they cannot."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from analysis.intervals import CONFIDENCE, Floats

Verdict = Literal["holds", "does not hold", "cannot be said"]
HOLDS: Verdict = "holds"
FAILS: Verdict = "does not hold"
OPEN: Verdict = "cannot be said"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span:
    """An effect with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evidence:
    """The figures that a verdict stands on: headings, and rows of texts and numbers."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | float, ...], ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One published claim judged; ``missing`` and ``command`` are empty unless data are wanting."""

    claim: Claim
    verdict: Verdict
    sentence: str
    evidence: Evidence
    notes: tuple[str, ...] = ()
    missing: str = ""
    command: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claim:
    """What the paper says (``published``), and the ``rule`` by which a campaign is held against it."""

    key: str
    title: str
    published: str
    rule: str

    def found(
        self,
        verdict: Verdict,
        sentence: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[str | float]],
        *notes: str,
        remedy: str,
    ) -> Finding:
        """Return the finding of a claim that was judged, with the figures behind it.

        ``remedy`` is the command that would narrow an interval too wide to judge by.
        """
        wide = verdict == OPEN
        return Finding(
            claim=self,
            verdict=verdict,
            sentence=sentence,
            evidence=Evidence(columns=tuple(columns), rows=tuple(tuple(row) for row in rows)),
            notes=notes,
            missing="more runs: the interval is too wide" if wide else "",
            command=remedy if wide else "",
        )

    def wanting(self, missing: str, command: str) -> Finding:
        """Return the finding of a claim that there are no data for; ``command`` would bring them."""
        return Finding(
            claim=self,
            verdict=OPEN,
            sentence=f"Missing: {missing}.",
            evidence=Evidence(columns=()),
            missing=missing,
            command=command,
        )


def span(replicates: Floats) -> Span:
    """Return the mean of an effect over redrawn campaigns, and the middle 95 % of them."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail])
    return Span(value=float(replicates.mean()), low=float(low), high=float(high))


def judge(effect: Span, least: float) -> Verdict:
    """Judge an effect against the ``least`` one that matters (a positive number).

    It holds when the whole interval is above zero and the value is at least ``least``; it does not
    hold when the whole interval is below ``least``; anything else cannot be said.
    """
    if math.isnan(effect.low) or math.isnan(effect.high):
        return OPEN
    if effect.low > 0 and effect.value >= least:
        return HOLDS
    return FAILS if effect.high < least else OPEN


def sign_test(effects: Sequence[float]) -> tuple[int, int, float]:
    """Return how many effects are positive, of how many that are not zero, and the one-sided p of so many."""
    positive, count = sum(value > 0 for value in effects), sum(value != 0 for value in effects)
    ways = sum(math.comb(count, wins) for wins in range(positive, count + 1))
    return positive, count, ways / 2**count


def sweep_command(options: dict[str, Sequence[str]]) -> str:
    """Write the sweep that would bring what is missing; options without a value are left out."""
    words = [f"-e {name}={','.join(values)}" for name, values in options.items() if values]
    return " ".join(["ansible-playbook sweep.yml", *words])
