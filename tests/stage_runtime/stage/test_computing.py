"""A stage's computation: where a batch is placed, what a stage without blocks does, copies that overlap on a GPU."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from stage_runtime.errors import SplitbedError
from stage_runtime.stage.computing import Computation
from stage_runtime.tensors import describe

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")


def computation(forward: Any, gives: torch.Tensor, *, device: str = "cpu", last: int = 2) -> Computation:
    plan: Any = SimpleNamespace(mine=SimpleNamespace(first=0, last=last), gives=describe(gives))
    blocks: Any = SimpleNamespace(forward=forward, engine="eager", load_ms=0.0)
    return Computation(blocks, device, plan)


def test_on_a_cpu_a_batch_is_computed_where_it_was_received() -> None:
    batch = torch.rand(2, 3)
    own = computation(lambda given: given + 1, batch)
    assert own.place(batch).tensor is batch
    torch.testing.assert_close(own.compute(own.place(batch)), batch + 1)
    torch.testing.assert_close(own(batch), batch + 1)


def test_a_stage_without_blocks_passes_a_batch_on() -> None:
    batch = torch.rand(2, 3)
    assert computation(None, batch, last=0)(batch) is batch


def test_an_output_that_the_manifest_does_not_know_is_refused() -> None:
    batch = torch.rand(2, 3)
    with pytest.raises(SplitbedError, match=r"gave float32 \(2, 6\), the manifest says float32 \(2, 3\)"):
        computation(lambda given: torch.cat([given, given], dim=1), batch)(batch)


@on_a_gpu
def test_the_next_batch_is_copied_while_one_is_computed() -> None:
    batches = [torch.rand(16, 3, 1024, 1024).pin_memory() for _ in range(2)]
    factor = torch.rand(4096, 4096, device="cuda:0")

    def slow(given: torch.Tensor) -> torch.Tensor:
        for _ in range(200):
            torch.mm(factor, factor)
        return given * 2

    own = computation(slow, batches[0], device="cuda:0")
    own(batches[0])
    first = own.place(batches[0])
    began = time.perf_counter()
    second = own.place(batches[1])
    output = own.compute(first)
    assert second.ready is not None
    copied: bool = second.ready.query()  # type: ignore[no-untyped-call]  # torch's own gap
    assert copied, f"after {time.perf_counter() - began:.3f} s of computing"
    torch.testing.assert_close(output, batches[0] * 2)
    torch.testing.assert_close(own.compute(second), batches[1] * 2)
