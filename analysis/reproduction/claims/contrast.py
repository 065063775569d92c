"""Compare the front under the best link with that under the worst, by one figure of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

from analysis.intervals import Floats
from analysis.reproduction.claims.common import (
    LEAST_SLOWDOWN,
    LEAST_SPLITS,
    REPEATS_MISSING,
    Pooled,
    extremes,
    pooled,
)
from analysis.reproduction.ensemble import Draws, Ensemble
from analysis.reproduction.material import CHAINS, Material
from analysis.reproduction.verdict import Claim, Finding

# the figure of each replicate; None where it cannot be computed
Measure = Callable[[Draws], Floats | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contrast:
    """The figure under the worst link less that under the best (or the other way round), references left out.

    ``figures`` holds it as measured, by network for each (model, chain); ``unsplit`` is the contrast where the
    unsplit model may stand on the front too, None where it was not run.
    """

    best: str
    worst: str
    splits: Pooled
    unsplit: Pooled | None
    figures: Mapping[tuple[str, str], Mapping[str, float]]


def contrast(material: Material, measure: Measure, least: float, *, sign: int) -> Contrast | str:
    """Contrast the worst link with the best, or say what is missing.

    ``sign`` is 1 where the claim is that the figure grows as the link gets worse, -1 where it falls: effects
    are positive in the claimed direction.
    """
    ends = extremes(material)
    if ends is None:
        return f"two networks of which one takes {LEAST_SLOWDOWN:g} times as long for a megabyte"
    effects: dict[str, list[Floats]] = {}
    unsplit: dict[str, list[Floats]] = {}
    figures: dict[tuple[str, str], dict[str, float]] = {}
    pairs = list(_pairs(material, ends))
    for best, worst in pairs:
        if not (best.known and worst.known):
            continue
        model, chain = best.condition.model, best.condition.chain
        effect = _effect(best.only(best.is_split), worst.only(worst.is_split), measure)
        if effect is not None:
            effects.setdefault(model, []).append(sign * effect)
            figures[model, chain] = _measured(material, model, chain, measure)
        full = None if best.is_split.all() or worst.is_split.all() else _effect(best, worst, measure)
        if full is not None:
            unsplit.setdefault(model, []).append(sign * full)
    if not effects:
        noiseless = any(not (best.known and worst.known) for best, worst in pairs)
        splits = f"{LEAST_SPLITS} splits and the unsplit model under both {ends[0]} and {ends[1]}"
        return REPEATS_MISSING if noiseless else splits
    return Contrast(
        best=ends[0],
        worst=ends[1],
        splits=pooled(effects, least),
        unsplit=pooled(unsplit, least) if unsplit else None,
        figures=figures,
    )


def wanting(claim: Claim, material: Material, missing: str) -> Finding:
    """Return the finding of a claim about networks that there are no data for."""
    return claim.wanting(missing, material.command(chains=material.chains or CHAINS, repeats=("3",)))


def table(material: Material, found: Contrast) -> tuple[tuple[str, ...], list[Sequence[str | float]]]:
    """Return the measured figures: a row per model and chain, a column per network."""
    networks = [network.network for network in material.networks]
    rows: list[Sequence[str | float]] = [
        (model, chain, *(figures.get(network, float("nan")) for network in networks))
        for (model, chain), figures in found.figures.items()
    ]
    return ("model", "chain", *networks), rows


def _pairs(material: Material, ends: tuple[str, str]) -> Iterator[tuple[Ensemble, Ensemble]]:
    """Yield the ensembles under the best and the worst link, for each model and chain that has both."""
    for model in material.models:
        for chain in material.chains:
            best, worst = (material.tcp.get((model, chain, network)) for network in ends)
            if best is None or worst is None:
                continue
            if min(best.is_split.sum(), worst.is_split.sum()) >= LEAST_SPLITS:
                yield best, worst


def _effect(best: Ensemble, worst: Ensemble, measure: Measure) -> Floats | None:
    before, after = measure(best.redrawn()), measure(worst.redrawn())
    return None if before is None or after is None else after - before


def _measured(material: Material, model: str, chain: str, measure: Measure) -> dict[str, float]:
    found = {}
    for network in material.networks:
        ensemble = material.tcp.get((model, chain, network.network))
        if ensemble is not None and ensemble.is_split.any():
            value = measure(ensemble.only(ensemble.is_split).measured())
            if value is not None:
                found[network.network] = float(value[0])
    return found
