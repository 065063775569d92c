"""How near the bounds: which cells, which figures, which sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.nearness.cells import EVERY_SPLIT, SPLITS, options_for
from bench.nearness.command import main
from bench.nearness.compute import Efficiencies, efficiencies, empty_stage_mb, held
from bench.nearness.words import efficiency_text, memory_text
from stage_runtime.formats.row import Row
from stage_runtime.models.names import PAPER
from sweep.errors import OptionError
from sweep.matrix import plan_matrix
from sweep.splits import parse_split, words_for
from tests.sweep.support import good, manifest, options, row_of, small_testbed, stage_figures


def asked(**changes: Any) -> Any:
    plain: dict[str, Any] = {
        "splits": SPLITS, "networks": "lan", "engines": "eager", "batches": "1,8", "repeats": 1, "cell_s": 2.0,
        "results": "/nowhere", "fresh": False,
    }  # fmt: skip
    return options_for(**(plain | changes))


def row(model: str, split: str, value: float | None, **changes: Any) -> Row:
    fields: dict[str, Any] = {
        "model": model, "split": split, "cut": (3,), "window": 1, "latency_efficiency": value,
        "throughput_efficiency": value, "network": "lan", "batch": 1, "engine": "eager",
    }  # fmt: skip
    (plan,) = plan_matrix(options(splits="P3"), small_testbed(), {"alexnet": (3,)}, {})
    return msgspec.structs.replace(row_of(plan.runs[0], small_testbed(), good()), **(fields | changes))


def test_every_model_is_cut_at_three_legal_splits_unless_told_otherwise() -> None:
    options = asked()
    assert set(options.model) == set(PAPER)
    for model in options.model:
        cuts = [cut for word in words_for(options.splits, model) for cut in parse_split(word)]
        assert len(cuts) == 3
        assert all(1 <= point <= PAPER[model].split_points for (point,) in cuts)
    assert set(asked(splits=EVERY_SPLIT).model) == set(PAPER)
    assert asked(splits="vgg16:P3,resnet18:P2").model == ("vgg16", "resnet18")
    with pytest.raises(OptionError, match="nomodel"):
        asked(splits="nomodel:P3")


def test_a_cells_efficiency_is_its_repeats_median_and_the_least_cell_is_named() -> None:
    rows = [row("alexnet", "P3", value, repeat=number) for number, value in enumerate((0.9, 0.97, 0.96))]
    rows += [row("vgg16", "P3", 0.8), row("vgg16", "P9", 0.99), row("vgg16", "P9", 0.5, status="failed")]
    rows += [row("vgg16", "only:d1", 0.1, cut=()), row("vgg16", "P4", None)]
    rows += [row("vgg16", "P3", 1.01, window=3)]
    near, often = efficiencies(rows)
    assert near == Efficiencies("latency", "lan", 1, "eager", 3, 0.96, 0.8, "vgg16 P3", (0.8, 0.96, 0.99))
    assert (often.objective, often.values) == ("throughput", (1.01,))
    said = efficiency_text([near, often])
    assert "0 of 1 groups reach both, 1 of 3 cells are under the least" in said
    assert "1 of 1 groups reach both, 0 of 1 cells" in said
    assert "| latency | lan | 1 | eager | 3 | 0.960 | 0.800 | vgg16 P3 |" in said
    assert efficiency_text([]) == "Nothing was measured."


def test_what_stages_hold_stands_beside_their_shards() -> None:
    def stages(first_rss: float, second_rss: float, cut: int) -> tuple[Any, ...]:
        pair = (("d1", 0, cut, first_rss), ("d2", cut, 12, second_rss))
        return tuple(msgspec.structs.replace(stage_figures(n, a, b, 1.0), rss_mb=rss) for n, a, b, rss in pair)

    rows = [
        row("alexnet", "P3", 0.9, stages=stages(230.0, 290.0, 3)),
        row("alexnet", "only:d2", 0.9, cut=(), stages=stages(200.0, 320.0, 0)),
        row("alexnet", "P3", 0.9, window=3, stages=stages(999.0, 999.0, 3)),
    ]
    own = manifest("alexnet", 12, megabytes=2**20 / 1e6)
    found = held(rows, lambda _id: own)
    assert [(one.split, one.device, one.blocks, one.shards_mb, one.rss_mb) for one in found] == [
        ("P3", "d1", 3, pytest.approx(3, abs=0.01), 230.0), ("P3", "d2", 9, pytest.approx(9, abs=0.01), 290.0),
        ("only:d2", "d1", 0, 0.0, 200.0), ("only:d2", "d2", 12, pytest.approx(12, abs=0.01), 320.0),
    ]  # fmt: skip
    assert empty_stage_mb(found) == {"d1": 200.0, "d2": 290.0}
    assert "| alexnet | P3 | d1 | 3 | 3.00 | 230 | 30.0 |" in memory_text(found, [own])


def test_a_bad_option_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--splits", "alexnet:P99x", "--results", str(tmp_path)]) == 2
    assert "P99x" in capsys.readouterr().err
