"""The block profile: what every block of a model costs on one device, measured in situ.

One JSON file per model and device, ``results/profiles/<model>-<manifest>/<device>.json``.  Planners read
it; ``profile.yml`` writes it.  METHODOLOGY.md says how each figure is measured.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from stage_runtime.formats.manifest import Granularity
from stage_runtime.formats.ready import make_ready

PROFILE_SCHEMA = 1


class ProfileRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the control operation ``profile`` is asked for.

    Every batch size of ``batches`` is run ``passes`` times with marks between the blocks and as often without,
    after ``warmup`` times that are not kept.  Once three times are kept and ``most_s`` seconds are over (0: no
    such limit) fewer passes do.  ``timeout_s`` is for all of it, loading included.
    """

    manifest_id: str
    inputs_id: str
    batches: tuple[int, ...]
    passes: int
    warmup: int
    most_s: float
    timeout_s: float


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


class ModelTimes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole model at one batch size, in the order run, warm-up left out.

    ``marked_ms`` are the passes that gave the blocks' times, which add up to them; ``whole_ms`` are those
    between them, timed at their two ends alone, so that what the marks cost can be seen.
    """

    batch: int
    marked_ms: tuple[float, ...]
    whole_ms: tuple[float, ...]


class ModelProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model on one device.

    ``processors`` is the CPU quota (None: none); ``available_memory_bytes`` is what the device had left, on its
    GPU where it computes there, before the model was loaded; ``input_bytes_per_sample`` is what a first stage takes.
    """

    schema: int = PROFILE_SCHEMA
    model: str
    granularity: Granularity
    manifest_id: str
    inputs_id: str
    device: str
    engine: str
    accelerator: str
    threads: int
    processors: float | None
    available_memory_bytes: int
    torch: str
    runtime: str
    started: str
    elapsed_s: float
    warmup: int
    input_bytes_per_sample: int
    batches: tuple[ModelTimes, ...]
    blocks: tuple[BlockProfile, ...]
    warnings: tuple[str, ...] = ()


class ProfileAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the control operation ``profile`` answers: a profile, or why there is none."""

    status: Literal["ok", "failed", "timeout"]
    reason: str = ""
    profile: ModelProfile | None = None


make_ready(ProfileRequest, ProfileAnswer, ModelProfile)
