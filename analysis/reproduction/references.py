"""What the paper could not see: how often splitting beats the unsplit model at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from analysis.fronts import Front, Objective


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tally:
    """In how many (model, chain) the best split beats the best unsplit device, under one network and objective."""

    network: str
    objective: Objective
    yes: int
    unclear: int
    no: int

    @property
    def judged(self) -> int:
        """How many there are to judge."""
        return self.yes + self.unclear + self.no


def tally_references(fronts: Sequence[Front], networks: Sequence[str]) -> list[Tally]:
    """Count the fronts' own verdicts, network by network; those without a reference or a split are left out."""
    found = []
    for network in networks:
        own = [front for front in fronts if front.condition.network == network]
        for objective in ("latency", "throughput"):
            gains = [front.latency_gain if objective == "latency" else front.throughput_gain for front in own]
            verdicts = [gain.verdict for gain in gains if gain is not None]
            counts = {word: verdicts.count(word) for word in ("yes", "unclear", "no")}
            if verdicts:
                found.append(Tally(network=network, objective=objective, **counts))
    return found


def references_sentence(tallies: Sequence[Tally]) -> str:
    """Sum the tallies up, or say what is missing."""
    if not tallies:
        return "The campaign holds no unsplit reference points, so whether splitting pays at all cannot be said."
    clauses = []
    for objective in ("latency", "throughput"):
        own = [tally for tally in tallies if tally.objective == objective]
        yes, judged = sum(tally.yes for tally in own), sum(tally.judged for tally in own)
        unclear = sum(tally.unclear for tally in own)
        clauses.append(f"in {objective} in {yes} of {judged} cases ({unclear} unclear)")
    return f"The best split beats the best unsplit device {' and '.join(clauses)}."
