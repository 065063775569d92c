"""What a runner is asked for, and what it answers: one JSON document per line."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from stage_runtime.formats.cell import EngineName


class Contestant(NamedTuple):
    """An engine, and whether its process keeps freed memory as a stage does."""

    name: str
    engine: EngineName
    keeps: bool


PLAIN = Contestant("PyTorch as it comes", "eager", keeps=False)
EAGER = Contestant("eager", "eager", keeps=True)
CONTESTANTS = (
    PLAIN,
    EAGER,
    Contestant("channels_last", "channels_last", keeps=True),
    Contestant("onnxruntime", "onnxruntime", keeps=True),
)

BESIDE = ("eager", "onnxruntime")
"""The contestants that are also measured while the same one computes on another core."""
LEAST_BATCHES = 2


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Compute one batch of a whole model to warm up, and then for about ``seconds``, at least ``LEAST_BATCHES``."""

    manifest_id: str
    batch: int
    seconds: float


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """How long each batch took, in ms, or what went wrong."""

    ms: tuple[float, ...] = ()
    error: str = ""
