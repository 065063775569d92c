"""Blocks as recorded CUDA graphs: refused without a GPU; with one, the same outputs as without a recording."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stage_runtime.engines.choice import local_engines
from stage_runtime.errors import EngineError
from stage_runtime.formats.manifest import Manifest

Graphed = tuple[Path, Manifest]
on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")


def test_a_cpu_is_refused_with_the_engine_to_take(graphed: Graphed) -> None:
    folder, manifest = graphed
    with pytest.raises(EngineError, match="NVIDIA GPU, and this stage on cpu; take engine onnxruntime there"):
        local_engines(folder, "cpu", 1).load("cudagraphs", manifest.manifest_id, 0, 2, 4)


def test_best_is_found_on_a_cpu_without_it(graphed: Graphed) -> None:
    folder, manifest = graphed
    assert local_engines(folder, "cpu", 1).load("best", manifest.manifest_id, 0, 2, 4).engine != "cudagraphs"


@on_a_gpu
@torch.inference_mode()
def test_replays_give_what_the_blocks_give_and_stay_as_they_are(graphed: Graphed) -> None:
    folder, manifest = graphed
    engines = local_engines(folder, "cuda:0", 1)
    shape = manifest.input.shape
    batches = [torch.rand((size, *shape), device="cuda:0") for size in (4, 4, 2, 4)]
    plain = engines.load("channels_last", manifest.manifest_id, 0, len(manifest.blocks), 4)
    wanted = [plain.forward(batch).cpu() for batch in batches]
    recorded = engines.load("cudagraphs", manifest.manifest_id, 0, len(manifest.blocks), 4)
    given = [recorded.forward(batch) for batch in batches]
    for one, other in zip(given, wanted, strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-4, atol=1e-5)
