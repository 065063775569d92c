"""Whether the fronts of the two chains differ."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from analysis.intervals import Floats
from analysis.reproduction.claims.common import LEAST_SPLITS, REPEATS_MISSING, models_note, more_runs, pooled, span_text
from analysis.reproduction.ensemble import Booleans, Ensemble
from analysis.reproduction.material import CHAINS, Material
from analysis.reproduction.published import PI_TO_GPU, PI_TO_PI
from analysis.reproduction.verdict import Claim, Finding, span

LEAST = 0.1
_CLAIM = Claim(
    key="chains",
    title="Fronts differ between the two chains",
    published="The Pareto fronts of Pi to Pi and of Pi to GPU differ: other splits are best.",
    rule=(
        "Fronts are compared as sets of splits (references left out, as published) by Jaccard's distance: 0 the same "
        "splits, 1 none in common. The effect is the distance between the two chains' fronts less that between two "
        "campaigns of one chain (redrawn; the greater of the two chains'), so that noise alone gives no more than 0, "
        "under the best link that both were run under, mean over models. Holds: the 95 % interval is above 0 and the "
        f"value at least {LEAST}; does not hold: the interval is below {LEAST}; else cannot be said."
    ),
)


def judge_chains(material: Material) -> Finding:
    """Judge whether the fronts differ between the two chains, per model and over all."""
    effects: dict[str, list[Floats]] = {}
    rows: list[tuple[str | float, ...]] = []
    pairs = list(_pairs(material))
    for first, second in pairs:
        if first.known and second.known:
            effect = excess_distance(first, second)
            effects.setdefault(first.condition.model, []).append(effect)
            distance = jaccard_distance(first.measured().members, second.measured().members)[0]
            condition = first.condition
            fronts = (_front(first), _front(second))
            rows.append((condition.model, condition.network, *fronts, float(distance), span_text(span(effect))))
    if not effects:
        need = f"runs of both {PI_TO_PI} and {PI_TO_GPU} under one network, {LEAST_SPLITS} splits at least"
        return _CLAIM.wanting(REPEATS_MISSING if pairs else need, material.command(chains=CHAINS, repeats=("3",)))
    found = pooled({model: own[:1] for model, own in effects.items()}, LEAST)
    everywhere = pooled(effects, LEAST)
    return _CLAIM.found(
        found.verdict,
        f"Under the best link the two chains' fronts are {span_text(found.overall)} apart beyond noise (0: as alike as "
        f"two campaigns of one chain; 1: nothing in common), mean over {len(effects)} models; "
        f"{found.sign_text('positive')}.",
        ("model", "network", f"front {PI_TO_PI}", f"front {PI_TO_GPU}", "distance", "beyond noise"),
        rows,
        models_note(found, span_text),
        f"mean over all networks: {span_text(everywhere.overall)} ({everywhere.verdict})",
        remedy=more_runs(material),
    )


def _pairs(material: Material) -> Iterator[tuple[Ensemble, Ensemble]]:
    """Yield both chains' points under each network, the best link of a model first."""
    for model in material.models:
        for network in material.networks:
            first, second = (material.tcp.get((model, chain, network.network)) for chain in CHAINS)
            pair = None if first is None or second is None else _common(first, second)
            if pair is not None:
                yield pair


def jaccard_distance(first: Booleans, second: Booleans) -> Floats:
    """Return the Jaccard distance of sets given as rows of booleans; two empty sets are alike."""
    union = (first | second).sum(axis=1)
    common = (first & second).sum(axis=1)
    return np.asarray(1 - np.where(union > 0, common / np.maximum(union, 1), 1.0), dtype=np.float64)


def excess_distance(first: Ensemble, second: Ensemble) -> Floats:
    """Return, replicate by replicate, the distance between two chains' fronts beyond that within one."""
    within = [
        jaccard_distance(ensemble.redrawn_twice(1).members, ensemble.redrawn_twice(3).members)
        for ensemble in (first, second)
    ]
    return jaccard_distance(first.redrawn().members, second.redrawn().members) - np.maximum(*within)


def _common(first: Ensemble, second: Ensemble) -> tuple[Ensemble, Ensemble] | None:
    """Return both with the splits that both have, or None where they are too few."""
    shared = set(np.array(first.splits)[first.is_split]) & set(np.array(second.splits)[second.is_split])
    if len(shared) < LEAST_SPLITS:
        return None
    one, other = (
        ensemble.only(np.array([split in shared for split in ensemble.splits])) for ensemble in (first, second)
    )
    return (one, other) if one.splits == other.splits else None


def _front(ensemble: Ensemble) -> str:
    return " ".join(split for split, on in zip(ensemble.splits, ensemble.measured().members[0], strict=True) if on)
