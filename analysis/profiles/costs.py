"""From profiles to costs: each block's time and share on each device, and what each split point would send.

A block's time is the *mean* over its passes.  Means add up to the whole, and where a CPU quota lets a
device compute in slices a short block's median misses the pauses that fall into it now and then.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import accumulate
from statistics import fmean, stdev

from stage_runtime.formats.profile import BlockProfile, BlockTimes, ModelProfile


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockCost:
    """One block on one device at one batch size.

    ``ms`` is the mean time, ``ms_sd`` its passes' standard deviation (0 with one), ``share`` is of all blocks' time.
    """

    index: int
    name: str
    ms: float
    ms_sd: float
    share: float
    peak_bytes: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeviceCosts:
    """All blocks on one device at one batch size.

    ``whole_ms`` is the mean of the passes without marks between blocks; ``marks_percent`` how much longer those
    with marks took.
    """

    device: str
    batch: int
    accelerator: str
    passes: int
    blocks: tuple[BlockCost, ...]
    whole_ms: float
    marks_percent: float

    @property
    def blocks_ms(self) -> float:
        """What the blocks add up to."""
        return sum(block.ms for block in self.blocks)

    @property
    def peak_bytes(self) -> int:
        """The most that activations hold."""
        return max(block.peak_bytes for block in self.blocks)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitPoint:
    """What a cut before block ``index`` means: the share of the time before it, by device, and the bytes that cross.

    ``fewer``: fewer bytes cross than at every earlier point, the input included.  A cut that sends no less than
    an earlier one does only makes the first device compute longer.
    """

    index: int
    share_before: dict[str, float]
    bytes_per_sample: int
    fewer: bool

    @property
    def label(self) -> str:
        """The split's name in a sweep."""
        return f"P{self.index}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelCosts:
    """One model on the devices that were profiled; ``costs`` go by device, then by batch size."""

    model: str
    granularity: str
    manifest_id: str
    input_bytes_per_sample: int
    blocks: tuple[BlockProfile, ...]
    costs: tuple[DeviceCosts, ...]
    splits: tuple[SplitPoint, ...]
    warnings: tuple[str, ...]

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices, in order."""
        return tuple(dict.fromkeys(one.device for one in self.costs))

    @property
    def batches(self) -> tuple[int, ...]:
        """The batch sizes that any device was profiled at."""
        return tuple(sorted({one.batch for one in self.costs}))

    def of_batch(self, batch: int) -> tuple[DeviceCosts, ...]:
        """Return the costs at one batch size, a device each."""
        return tuple(one for one in self.costs if one.batch == batch)


def find_costs(profiles: Sequence[ModelProfile]) -> ModelCosts:
    """Work out the costs of one model; all profiles are of it."""
    first = profiles[0]
    costs = tuple(_device_costs(one, times.batch) for one in profiles for times in one.batches)
    return ModelCosts(
        model=first.model,
        granularity=first.granularity,
        manifest_id=first.manifest_id,
        input_bytes_per_sample=first.input_bytes_per_sample,
        blocks=first.blocks,
        costs=costs,
        splits=_splits(first, costs),
        warnings=tuple(text for one in profiles for text in one.warnings),
    )


def _device_costs(profile: ModelProfile, batch: int) -> DeviceCosts:
    model = next(times for times in profile.batches if times.batch == batch)
    own = [(block, next(times for times in block.batches if times.batch == batch)) for block in profile.blocks]
    total = sum(fmean(times.times_ms) for _, times in own)
    whole = fmean(model.whole_ms)
    return DeviceCosts(
        device=profile.device,
        batch=batch,
        accelerator=profile.accelerator,
        passes=len(model.whole_ms),
        blocks=tuple(_block_cost(block, times, total) for block, times in own),
        whole_ms=whole,
        marks_percent=100 * (fmean(model.marked_ms) / whole - 1),
    )


def _block_cost(block: BlockProfile, times: BlockTimes, total: float) -> BlockCost:
    mean = fmean(times.times_ms)
    return BlockCost(
        index=block.index,
        name=block.name,
        ms=mean,
        ms_sd=stdev(times.times_ms) if len(times.times_ms) > 1 else 0.0,
        share=mean / total,
        peak_bytes=times.peak_activation_bytes,
    )


def _splits(profile: ModelProfile, costs: Sequence[DeviceCosts]) -> tuple[SplitPoint, ...]:
    """Take each device's shares from its smallest batch size."""
    smallest = {one.device: one for one in sorted(costs, key=lambda one: one.batch, reverse=True)}
    before = {device: list(accumulate(block.share for block in one.blocks)) for device, one in smallest.items()}
    least = profile.input_bytes_per_sample
    points = []
    for index, block in enumerate(profile.blocks[:-1], start=1):
        crossing = block.output_bytes_per_sample
        shares = {device: sums[index - 1] for device, sums in before.items()}
        points.append(SplitPoint(index=index, share_before=shares, bytes_per_sample=crossing, fewer=crossing < least))
        least = min(least, crossing)
    return tuple(points)
