"""What the claims about fronts share: effects per model, pooled over models, and their sentences."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from analysis.intervals import Floats
from analysis.numbers import number
from analysis.reproduction.material import Material
from analysis.reproduction.verdict import Span, Verdict, judge, sign_test, span

LEAST_SPLITS = 3
# a link that is not at least so many times slower than the best makes no bad network
LEAST_SLOWDOWN = 2.0

REPEATS_MISSING = "the noise from run to run is not known: repeats of the same cells are needed (two of each at least)"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pooled:
    """An effect of each model, and of all of them together (the mean over models)."""

    models: Mapping[str, Span]
    verdicts: Mapping[str, Verdict]
    overall: Span
    verdict: Verdict

    def sign_text(self, word: str) -> str:
        """Say for how many models the effect goes the claimed way, which ``word`` names."""
        positive, count, p = sign_test([found.value for found in self.models.values()])
        return f"{word} for {positive} of {count} models, sign test p = {number(p)}"


def pooled(effects: Mapping[str, Sequence[Floats]], least: float) -> Pooled:
    """Pool ``effects``: per model the mean over its cases (replicates each), overall the mean over models.

    Models weigh alike: the claim is about these models, not about a population of them.
    """
    means = {model: np.mean(cases, axis=0) for model, cases in effects.items()}
    spans = {model: span(draws) for model, draws in means.items()}
    overall = span(np.mean(list(means.values()), axis=0))
    return Pooled(
        models=spans,
        verdicts={model: judge(found, least) for model, found in spans.items()},
        overall=overall,
        verdict=judge(overall, least),
    )


def extremes(material: Material) -> tuple[str, str] | None:
    """Return the network with the best link and the one with the worst; None when they hardly differ."""
    if len(material.networks) < 2:  # noqa: PLR2004 - two are a best one and a worst one
        return None
    best, worst = material.networks[0], material.networks[-1]
    if worst.carry_ms == best.carry_ms or worst.carry_ms < LEAST_SLOWDOWN * best.carry_ms:
        return None
    return best.network, worst.network


def more_runs(material: Material, **options: Sequence[str]) -> str:
    """Write the sweep that narrows intervals; ``options`` beside the models, chains and repeats."""
    return material.command(chains=material.chains, repeats=("10",), **options)


def models_note(found: Pooled, text: Callable[[Span], str]) -> str:
    """Write each model's own verdict, its effect by ``text``."""
    own = (f"{model}: {verdict}, {text(found.models[model])}" for model, verdict in found.verdicts.items())
    return "per model: " + "; ".join(own)


def span_text(found: Span, *, digits: int = 2, unit: str = "") -> str:
    """Write an effect with its sign and interval."""
    return f"{found.value:+.{digits}f}{unit} [{found.low:+.{digits}f}, {found.high:+.{digits}f}]"
