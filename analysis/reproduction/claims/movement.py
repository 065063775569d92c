"""Whether fronts move towards the first device when the link is bad."""

from __future__ import annotations

import numpy as np

from analysis.intervals import Floats
from analysis.reproduction.claims.common import models_note, more_runs, span_text
from analysis.reproduction.claims.contrast import contrast, table, wanting
from analysis.reproduction.ensemble import Draws
from analysis.reproduction.material import Material
from analysis.reproduction.verdict import Claim, Finding

LEAST = 0.05
_CLAIM = Claim(
    key="movement",
    title="Fronts move towards the edge side when the link is bad",
    published="Under delay and limited bandwidth the front moves towards more work on the edge side.",
    rule=(
        "The work of a split is the share of the model's computing before it, timed on the first device. A front's "
        "figure is the mean work of its splits (references left out, as published). The effect is that under the worst "
        "link less that under the best, mean over chains, then over models, its interval from redrawn campaigns. "
        f"Holds: the 95 % interval is above 0 and the value at least {LEAST}; does not hold: the interval is below "
        f"{LEAST}; else cannot be said."
    ),
)


def judge_movement(material: Material) -> Finding:
    """Judge whether the front's splits leave more work on the first device under the worst link."""

    def mean_work(draws: Draws) -> Floats | None:
        condition = draws.ensemble.condition
        shares = material.shares.get((condition.model, condition.chain), {})
        ends = {"only:first": 1.0, "only:last": 0.0}
        points = zip(draws.ensemble.splits, draws.ensemble.cuts, strict=True)
        work = [ends.get(split, shares.get(cut)) for split, cut in points]
        if any(value is None for value in work):
            return None
        members = draws.members
        return np.asarray((members * np.array(work, dtype=np.float64)).sum(axis=1) / members.sum(axis=1))

    found = contrast(material, mean_work, LEAST, sign=1)
    if isinstance(found, str):
        return wanting(_CLAIM, material, found)
    notes = [models_note(found.splits, span_text)]
    if found.unsplit is not None:
        notes.append(
            f"with the unsplit model among the candidates the change is {span_text(found.unsplit.overall)} "
            f"({found.unsplit.verdict}): on a bad link the whole model on the first device is a candidate too"
        )
    return _CLAIM.found(
        found.splits.verdict,
        f"From {found.best} to {found.worst} the mean share of the work that the front's splits leave on the first "
        f"device changes by {span_text(found.splits.overall)}; {found.splits.sign_text('up')}.",
        *table(material, found),
        *notes,
        remedy=more_runs(material),
    )
