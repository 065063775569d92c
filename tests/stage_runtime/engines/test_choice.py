"""Which engine computes: the one asked for, or the one that a trial finds fastest."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from stage_runtime.engines.base import Blocks
from stage_runtime.engines.choice import Engines, local_engines
from stage_runtime.engines.trial import fastest
from stage_runtime.errors import EngineError
from stage_runtime.formats.cell import EngineName
from stage_runtime.formats.manifest import Manifest
from stage_runtime.shards.store import ShardStore

Graphed = tuple[Path, Manifest]


class Slow:
    """Blocks that take a while, and count how often they run."""

    def __init__(self, engine: EngineName, wait_s: float) -> None:
        self.engine = engine
        self.load_ms = 0.0
        self.runs = 0
        self._wait_s = wait_s

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Wait, and give the batch."""
        self.runs += 1
        time.sleep(self._wait_s)
        return batch


class Double:
    """An engine of such blocks, or one that cannot run."""

    def __init__(self, engine: EngineName, wait_s: float | None) -> None:
        self.blocks = None if wait_s is None else Slow(engine, wait_s)
        self.loads: list[tuple[int, int, int]] = []
        self.releases = 0

    def load(self, _manifest_id: str, first: int, last: int, batch: int) -> Blocks:
        """Note what is loaded."""
        if self.blocks is None:
            raise EngineError("not here")
        self.loads.append((first, last, batch))
        return self.blocks

    def release(self) -> None:
        """Note that everything is let go of."""
        self.releases += 1


def _doubles(graphed: Graphed, **waits: float | None) -> tuple[Engines, dict[EngineName, Double]]:
    doubles = {name: Double(name, wait) for name, wait in waits.items()}
    return Engines(doubles, ShardStore(graphed[0])), doubles


def test_best_is_the_fastest_by_trial_and_is_remembered(graphed: Graphed) -> None:
    engines, doubles = _doubles(graphed, eager=0.004, channels_last=0.0, onnxruntime=0.02)
    manifest_id = graphed[1].manifest_id
    assert engines.load("best", manifest_id, 0, 2, 4).engine == "channels_last"
    assert doubles["channels_last"].loads == [(0, 2, 4), (0, 2, 4)]
    assert doubles["eager"].loads == doubles["onnxruntime"].loads == [(0, 2, 4)]
    runs = {name: double.blocks.runs for name, double in doubles.items() if double.blocks}
    assert engines.load("best", manifest_id, 0, 2, 4).engine == "channels_last"
    assert {name: double.blocks.runs for name, double in doubles.items() if double.blocks} == runs
    engines.load("best", manifest_id, 0, 2, 1)
    assert doubles["eager"].loads == [(0, 2, 4), (0, 2, 1)], "another batch size is another trial"


def test_an_engine_that_is_far_behind_is_given_up_early(graphed: Graphed) -> None:
    engines, doubles = _doubles(graphed, eager=0.05, channels_last=0.05, onnxruntime=0.001)
    assert engines.load("best", graphed[1].manifest_id, 0, 2, 4).engine == "onnxruntime"
    runs = {name: double.blocks.runs for name, double in doubles.items() if double.blocks}
    assert runs == {"onnxruntime": 6, "channels_last": 2, "eager": 2}


def test_an_engine_that_cannot_run_takes_no_part(graphed: Graphed) -> None:
    engines, _ = _doubles(graphed, eager=0.0, onnxruntime=None)
    assert engines.load("best", graphed[1].manifest_id, 0, 1, 1).engine == "eager"
    engines, _ = _doubles(graphed, eager=None, onnxruntime=None)
    with pytest.raises(EngineError, match="no engine can run here: not here; not here"):
        engines.load("best", graphed[1].manifest_id, 0, 1, 1)


def test_a_stage_without_blocks_is_not_tried(graphed: Graphed) -> None:
    engines, doubles = _doubles(graphed, eager=0.0, onnxruntime=0.0)
    assert engines.load("best", graphed[1].manifest_id, 3, 3, 1).engine == "eager"
    assert doubles["onnxruntime"].loads == []


def test_only_one_engine_holds_blocks(graphed: Graphed) -> None:
    engines, doubles = _doubles(graphed, eager=0.0, onnxruntime=0.0)
    engines.load("onnxruntime", graphed[1].manifest_id, 0, 1, 1)
    assert (doubles["eager"].releases, doubles["onnxruntime"].releases) == (1, 0)
    with pytest.raises(EngineError, match="engine channels_last is not there; known: eager, onnxruntime"):
        engines.load("channels_last", graphed[1].manifest_id, 0, 1, 1)
    with pytest.raises(EngineError, match="engine best needs a folder of shards"):
        Engines({}).load("best", graphed[1].manifest_id, 0, 1, 1)


def test_the_trial_runs_what_the_blocks_take(graphed: Graphed) -> None:
    seen: list[torch.Tensor] = []

    class Watch(Slow):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            seen.append(batch)
            return batch

    spec = graphed[1].input
    assert fastest(["eager"], lambda name: Watch(name, 0.0), spec, 3, "cpu") == "eager"
    assert {(tuple(batch.shape), batch.dtype) for batch in seen} == {((3, *spec.shape), torch.float32)}


def test_every_engine_of_this_machine_gives_the_same_output(graphed: Graphed) -> None:
    shards, manifest = graphed
    engines = local_engines(shards, "cpu", 1)
    images = torch.randn(2, *manifest.input.shape)
    names: tuple[EngineName, ...] = ("eager", "channels_last", "onnxruntime", "best")
    outputs = {}
    for name in names:
        blocks = engines.load(name, manifest.manifest_id, 0, len(manifest.blocks), 2)
        assert name in (blocks.engine, "best")
        assert blocks.engine != "best"
        assert blocks.load_ms > 0
        outputs[name] = blocks.forward(images.clone())
    for name in names:
        assert torch.allclose(outputs[name], outputs["eager"], rtol=1e-4, atol=1e-5), name
