"""The engines' benchmark: made-up rounds against what must come of them, and real ones of a small model."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
from msgspec import structs

from bench.engines import command
from bench.engines.compute import geometric_mean, slowings, speeds
from bench.engines.measure import Round, Runner, measure
from bench.engines.orders import BESIDE, CONTESTANTS, Order
from bench.engines.words import beside_text, text
from bench.testbed import BenchError
from stage_runtime.graphs.make import GraphMaker
from tests.stage_runtime.graphs.making import make_model


def rounds(model: str = "mobilenet_v2", batch: int = 8, scale: float = 1.0) -> list[Round]:
    """Three rounds in which the machine is once, twice and four times as slow, which no ratio shows."""
    times = {"PyTorch as it comes": 400.0, "eager": 200.0, "channels_last": 160.0, "onnxruntime": 80.0}
    return [
        Round(model=model, batch=batch, contestant=name, number=number, ms=(ms * slow * scale,) * 2)
        for number, slow in enumerate((1, 2, 4))
        for name, ms in times.items()
    ]


def test_ratios_are_of_the_same_round() -> None:
    found = {one.contestant: one for one in speeds(rounds())}
    assert found["onnxruntime"].ms == 160.0
    ratio = found["onnxruntime"].against["PyTorch as it comes"]
    assert (ratio.low, ratio.value, ratio.high) == pytest.approx((5.0, 5.0, 5.0))
    assert found["onnxruntime"].against["eager"].value == pytest.approx(2.5)
    assert found["eager"].against.keys() == {"PyTorch as it comes"}


def test_the_mean_is_over_models_and_targets_are_held_against_both() -> None:
    found = speeds([*rounds(), *rounds("vgg16", scale=3.0)])
    assert geometric_mean(found, "onnxruntime", 8, "eager") == pytest.approx(2.5)
    assert math.isnan(geometric_mean(found, "onnxruntime", 1, "eager"))
    said = text(found)
    assert "batch 8, geometric mean: aimed at 1.8 times; 2.50 times eager (met), 5.00 times PyTorch" in said
    assert "mobilenet_v2: aimed at 4 times; 2.50 times eager (missed), 5.00 times PyTorch as it comes (met)" in said
    assert "at batch 1" not in said
    assert "| vgg16 | 8 | onnxruntime | 480 | 5.00 [5.00, 5.00] | 2.50 [2.50, 2.50] |" in said
    assert text([]) == "Nothing was measured."


def test_what_a_neighbour_costs_is_paired_by_rounds_and_in_no_speed() -> None:
    alone = rounds()
    beside = [structs.replace(one, ms=(one.ms[0] * 1.25,), beside=True) for one in alone if one.contestant == "eager"]
    assert speeds([*alone, *beside]) == speeds(alone)
    (slowing,) = slowings([*alone, *beside])
    assert slowing.contestant == "eager"
    assert slowing.ratio.value == pytest.approx(1.25)
    said = beside_text([slowing])
    assert "(median 1.25)" in said
    assert "a throughput of 0.80 times the bound" in said
    assert beside_text(slowings(alone)) == ""


def test_engines_compute_a_real_model(tmp_path: Path) -> None:
    manifest = make_model(tmp_path, "small")
    GraphMaker(tmp_path).make(manifest.manifest_id, [(0, len(manifest.blocks))])
    said: list[str] = []
    own = tuple(one for one in CONTESTANTS if one.engine != "channels_last" and one.name != "eager")
    shards = tmp_path / "shards"
    measured = list(
        measure({"small": manifest}, [2], rounds=2, seconds=0.01, shards=shards, say=said.append, contestants=own)
    )
    assert said == ["small, batch 2: 2 rounds of 2 engines"]
    assert {(one.contestant, one.number) for one in measured if not one.beside} == {
        (one.name, number) for one in own for number in (0, 1)
    }
    neighbours = set(BESIDE) & {one.name for one in own} if len(os.sched_getaffinity(0)) > 1 else set()
    assert {one.contestant for one in measured if one.beside} == neighbours
    assert all(min(one.ms) > 0 and len(one.ms) >= 2 for one in measured)


def test_a_model_that_is_not_there_is_told_by_the_process(tmp_path: Path) -> None:
    runner = Runner(CONTESTANTS[0], 0, tmp_path)
    try:
        with pytest.raises(BenchError, match=r"PyTorch as it comes: .*0000"):
            runner.ask(Order(manifest_id="0" * 64, batch=1, seconds=0.1))
    finally:
        runner.close()


def test_results_are_shown_again_and_bad_words_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--again", "--out", str(tmp_path)]) == 2
    assert "measure first: python -m bench.engines" in capsys.readouterr().err
    assert command.main(["--models", "lenet"]) == 2
    assert "lenet" in capsys.readouterr().err
    assert command.main(["--rounds", "0"]) == 2
    assert "--rounds 0 is no number above 0" in capsys.readouterr().err
