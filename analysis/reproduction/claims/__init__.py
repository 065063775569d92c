"""The published claims, a module for each: what the paper says, the rule, the verdict."""

from __future__ import annotations

from analysis.reproduction.claims.blocks import judge_blocks
from analysis.reproduction.claims.bottleneck import judge_bottleneck
from analysis.reproduction.claims.chains import judge_chains
from analysis.reproduction.claims.movement import judge_movement
from analysis.reproduction.claims.thinning import judge_thinning
from analysis.reproduction.claims.transports import judge_latency, judge_throughput
from analysis.reproduction.material import Material
from analysis.reproduction.verdict import Finding

_CLAIMS = (
    judge_chains,
    judge_movement,
    judge_thinning,
    judge_blocks,
    judge_latency,
    judge_throughput,
    judge_bottleneck,
)


def judge_claims(material: Material) -> list[Finding]:
    """Judge every published claim, in the order of the page."""
    return [claim(material) for claim in _CLAIMS]
