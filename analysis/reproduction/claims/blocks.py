"""Whether blocks cost the same."""

from __future__ import annotations

import dataclasses
import math
import zlib
from collections.abc import Iterator

import numpy as np

from analysis.intervals import Floats
from analysis.reproduction.claims.common import pooled, span_text
from analysis.reproduction.material import Material
from analysis.reproduction.verdict import Claim, Finding
from analysis.reproduction.work import block_count, block_passes, first_device_times
from stage_runtime.formats.profile import ModelProfile

LEAST = 0.1
# a profile's passes are quiet, single runs are not: from fewer of them the interval would be too narrow
LEAST_PASSES = 2
LEAST_RUNS = 5
REPLICATES = 1000
_CLAIM = Claim(
    key="blocks",
    title="Blocks do not cost the same",
    published="Blocks cost very differently, and their profiles explain which splits are best.",
    rule=(
        "The costliest quarter of a model's blocks is chosen by one half of the passes, and its share of the time "
        "measured in the other half, so that noise makes no block look costly. The effect is that share less the "
        "quarter's share of the blocks (0 where all cost the same), mean over models; the interval redraws passes. "
        f"Holds: the 95 % interval is above 0 and the value at least {LEAST}; does not hold: the interval is below "
        f"{LEAST}; else cannot be said. Times come from block profiles where given, else from differences of the "
        "first device's computing between neighbouring splits."
    ),
)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class BlockTimes:
    """The blocks of one model: times in ms (passes x blocks), and where they are from."""

    model: str
    source: str
    times_ms: Floats


def judge_blocks(material: Material) -> Finding:
    """Judge whether a model's blocks differ in cost."""
    found = list(_block_times(material))
    profile = f"ansible-playbook profile.yml -e model={','.join(material.models)}"
    if not found:
        return _CLAIM.wanting(
            f"a block profile, or {LEAST_RUNS} runs of every split and of the unsplit model on the first device",
            profile,
        )
    effects: dict[str, list[Floats]] = {}
    rows = []
    for item in found:
        effect = uneven(item.times_ms, np.random.default_rng(zlib.crc32(f"{item.model}/{item.source}".encode())))
        effects.setdefault(item.model, []).append(effect)
        median = np.median(item.times_ms, axis=0)
        share = _quarter(len(median)) / len(median) + float(effect.mean())
        rows.append((
            item.model, item.source, len(median), len(item.times_ms), f"{share:.0%}",
            f"block {int(median.argmax())}: {median.max() / median.sum():.0%}",
        ))  # fmt: skip
    result = pooled(effects, LEAST)
    return _CLAIM.found(
        result.verdict,
        f"The costliest quarter of the blocks takes {span_text(result.overall)} more of the time than its number of "
        f"blocks would (as a share of the whole), mean over {len(effects)} models.",
        ("model", "from", "blocks", "passes", "costliest quarter's share", "costliest block"),
        rows,
        remedy=profile,
    )


def uneven(times_ms: Floats, rng: np.random.Generator) -> Floats:
    """Return replicates of the costliest quarter's share of the time, less its share of the blocks.

    ``times_ms`` is passes x blocks.  Each replicate deals the passes into two halves, redraws within each, chooses
    by the one and measures in the other.
    """
    passes, blocks = times_ms.shape
    quarter = _quarter(blocks)
    half = passes // 2
    found = np.empty(REPLICATES)
    for index in range(REPLICATES):
        order = rng.permutation(passes)
        choosing = times_ms[rng.choice(order[:half], half)].mean(axis=0)
        measuring = times_ms[rng.choice(order[half:], passes - half)].mean(axis=0)
        chosen = np.argsort(choosing)[blocks - quarter :]
        found[index] = measuring[chosen].sum() / measuring.sum() - quarter / blocks
    return found


def _quarter(blocks: int) -> int:
    return math.ceil(blocks / 4)


def _block_times(material: Material) -> Iterator[BlockTimes]:
    """Yield the block times of each model: from its profiles, else from its splits on each chain."""
    for model in material.models:
        profiled = [_from_profile(profile, material.batch) for profile in material.profiles if profile.model == model]
        usable = [item for item in profiled if item is not None]
        yield from usable or _from_splits(material, model)


def _from_profile(profile: ModelProfile, batch: int) -> BlockTimes | None:
    """Take the batch size of the campaign, or else the profile's greatest; None with too few passes."""
    sizes = sorted({times.batch for block in profile.blocks for times in block.batches})
    if not sizes:
        return None
    size = batch if batch in sizes else sizes[-1]
    columns = [times.times_ms for block in profile.blocks for times in block.batches if times.batch == size]
    passes = min(len(column) for column in columns)
    if passes < LEAST_PASSES or len(columns) != len(profile.blocks):
        return None
    table = np.array([column[:passes] for column in columns]).T
    return BlockTimes(model=profile.model, source=f"profile on {profile.device}, batch {size}", times_ms=table)


def _from_splits(material: Material, model: str) -> Iterator[BlockTimes]:
    runs = material.runs
    own = runs[(runs["model"] == model) & (runs["transport"] == "tcp")]
    blocks = block_count(own)
    for chain in material.chains:
        table = block_passes(first_device_times(own[own["chain"] == chain]), blocks)
        if len(table) >= LEAST_RUNS:
            yield BlockTimes(model=model, source=f"splits of {chain}", times_ms=table)
