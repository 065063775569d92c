from __future__ import annotations

import math

import pytest

from analysis.reproduction.numbering import printed_network_times
from analysis.reproduction.published import LINK_MBIT, MODELS, ROWS
from tests.project.structure import ROOT

INDEX_MAP = ROOT / "tests" / "stage_runtime" / "models" / "paper_index_map.txt"


def shapes() -> dict[tuple[str, int], tuple[int, ...]]:
    found = {}
    for line in INDEX_MAP.read_text().splitlines():
        if not line.startswith("#"):
            model, point, _, shape = line.split()
            found[model, int(point)] = tuple(int(size) for size in shape.split("x"))
    return found


def test_every_candidate_has_the_shape_of_the_index_map() -> None:
    known = shapes()
    for row in ROWS:
        for candidate in row.candidates:
            assert candidate.shape == known[row.model, candidate.point], (row.model, candidate.split)


def test_there_are_twelve_rows_two_a_model() -> None:
    assert len(ROWS) == 12
    assert len(MODELS) == 6
    assert all(sum(row.model == model for row in ROWS) == 2 for model in MODELS)


def test_only_the_numbering_of_resnet50_is_in_doubt() -> None:
    doubtful = {row.model: [one.split for one in row.candidates] for row in ROWS if len(row.candidates) > 1}
    assert doubtful == {"resnet50": ["P15", "P16"]}


@pytest.mark.parametrize(
    ("model", "point", "share"),
    [("resnet50", 5, 0.504), ("resnet50", 15, 0.964), ("inception_v3", 19, 0.9997), ("alexnet", 10, 0.514)],
)
def test_the_first_devices_share_of_a_printed_row(model: str, point: int, share: float) -> None:
    (row,) = [row for row in ROWS if (row.model, row.point) == (model, point)]
    assert row.front_share == pytest.approx(share, abs=5e-4)


def test_the_implied_rate_is_bytes_over_time() -> None:
    (row,) = [row for row in ROWS if (row.model, row.point) == ("vgg16", 14)]
    assert row.candidates[0].batch_bytes == 25_690_112
    assert row.implied_mbit(row.candidates[0]) == pytest.approx(25_690_112 * 8 / 0.056 / 1e6)
    assert row.implied_mbit(row.candidates[0]) > 3 * LINK_MBIT


def test_the_printed_network_times_bear_no_relation_to_bytes() -> None:
    found = printed_network_times()
    assert found.above_line_rate == ("inception_v3 P10", "resnet18 P2", "resnet50 P5", "vgg16 P14")
    assert found.longest_over_shortest == pytest.approx(1.4)
    assert found.most_bytes_over_least == pytest.approx(392, abs=0.5)
    assert abs(found.rank_correlation) < 1
    assert not math.isnan(found.rank_correlation)
