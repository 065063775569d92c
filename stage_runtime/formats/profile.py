"""The block profile: what every block of a model costs on one device, measured in situ.

One JSON file per model and device.  Planners read it; ``profile.yml`` writes it.  METHODOLOGY.md
says how each figure is measured.
"""

from __future__ import annotations

import msgspec

from stage_runtime.formats.manifest import Granularity

PROFILE_SCHEMA = 1


class BlockTimes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One block at one batch size: the time of every pass, and the greatest activation memory.

    ``times_ms`` are those of the block within passes of the whole model, in the order run, warm-up left out.
    ``peak_activation_bytes`` is the most that tensors other than parameters held at once while the block
    ran, its input included.
    """

    batch: int
    times_ms: tuple[float, ...]
    peak_activation_bytes: int


class BlockProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One block: its place and name, its bytes (output per sample), and what it takes at each batch size."""

    index: int
    name: str
    parameter_bytes: int
    output_bytes_per_sample: int
    batches: tuple[BlockTimes, ...]


class ModelProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model on one device.

    ``model_times_ms`` holds, for each batch size (as text), the time of the same passes as a whole, which is what the
    blocks' times add up to, but for the timing itself; ``input_bytes_per_sample`` is what a first stage takes.
    """

    schema: int = PROFILE_SCHEMA
    model: str
    granularity: Granularity
    manifest_id: str
    device: str
    engine: str
    accelerator: str
    threads: int
    torch: str
    started: str
    input_bytes_per_sample: int
    model_times_ms: dict[str, tuple[float, ...]]
    blocks: tuple[BlockProfile, ...]
    warnings: tuple[str, ...] = ()
