"""Whether fronts thin out under a bottleneck."""

from __future__ import annotations

import numpy as np

from analysis.intervals import Floats
from analysis.reproduction.claims.common import models_note, more_runs, span_text
from analysis.reproduction.claims.contrast import contrast, table, wanting
from analysis.reproduction.ensemble import Draws
from analysis.reproduction.material import Material
from analysis.reproduction.verdict import Claim, Finding, Span

LEAST = 0.5
_CLAIM = Claim(
    key="thinning",
    title="Fronts thin out under a bottleneck",
    published="Under a bad link fewer splits stay on the front.",
    rule=(
        "A front's figure is the number of its splits (references left out, as published; a split that another beats "
        "in one objective without being worse in the other is not on it). The effect is the number under the best link "
        "less that under the worst, mean over chains, then over models, its interval from redrawn campaigns. Holds: "
        f"the 95 % interval is above 0 and the value at least {LEAST}; does not hold: the interval is below {LEAST}; "
        "else cannot be said."
    ),
)


def judge_thinning(material: Material) -> Finding:
    """Judge whether fewer splits are on the front under the worst link."""
    found = contrast(material, _count, LEAST, sign=-1)
    if isinstance(found, str):
        return wanting(_CLAIM, material, found)
    notes = [models_note(found.splits, _change)]
    if found.unsplit is not None:
        notes.append(
            "with the unsplit model among the candidates the number of points on a front changes by "
            f"{_change(found.unsplit.overall)} ({found.unsplit.verdict})"
        )
    return _CLAIM.found(
        found.splits.verdict,
        f"From {found.best} to {found.worst} the number of splits on a front changes by "
        f"{_change(found.splits.overall)}; {found.splits.sign_text('fewer')}.",
        *table(material, found),
        *notes,
        remedy=more_runs(material),
    )


def _change(loss: Span) -> str:
    """Write a loss of points as the change that it is."""
    return span_text(Span(value=-loss.value, low=-loss.high, high=-loss.low))


def _count(draws: Draws) -> Floats:
    return np.asarray(draws.members.sum(axis=1), dtype=np.float64)
