"""What a pipeline leaves behind; that it computes and sends is tested by whole chains."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from stage_runtime.stage.pipeline import Pipeline
from stage_runtime.telemetry import gpu
from tests.stage_runtime.telemetry.test_gpu import Nvml


def test_a_stopped_pipeline_samples_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_handle", lambda _: (Nvml(counts_energy=True), "handle"))
    plan: Any = SimpleNamespace(total=1, slots=0, cell=SimpleNamespace(codec="none"))
    nothing: Any = None
    pipeline = Pipeline(plan, nothing, device="cuda:0", send=nothing, on_failure=nothing)
    pipeline.telemetry.begin()
    pipeline.stop()  # as when the run fails, which then has no end of what is measured
    sampler = pipeline.telemetry._gpu._thread
    assert sampler is not None
    assert not sampler.is_alive()
