from __future__ import annotations

import math

import pytest

from analysis.fronts import find_fronts
from analysis.reproduction.counterpart import Comparison, compare_rows
from analysis.reproduction.differences import speed_ratio
from analysis.reproduction.numbering import find_numberings
from analysis.reproduction.references import references_sentence, tally_references
from analysis.summary import summarise
from tests.analysis.reproduction.made import Made, material

# a ResNet50 whose share at P6 and P16 is the printed one of P5 and P15
RESNET50 = tuple([0.504 / 6] * 6 + [(0.964 - 0.504) / 10] * 10 + [0.036])
MADE = Made(
    models=("resnet50",),
    blocks_ms=tuple(1000 * share for share in RESNET50),
    megabytes=(6.4,) * 16,
    noise=0.0,
)


def row(comparisons: list[Comparison], model: str, point: int) -> Comparison:
    return next(item for item in comparisons if (item.published.model, item.published.point) == (model, point))


def test_both_readings_are_shown_and_the_one_nearest_in_share_fits() -> None:
    found = row(compare_rows(material(MADE)), "resnet50", 5)
    assert [one.candidate.split for one in found.measured] == ["P5", "P6"]
    assert found.fitting is found.measured[1]
    assert found.measured[1].share.value == pytest.approx(0.504)
    assert found.measured[1].link.network == "lan"


def test_the_numbering_that_fits_both_rows_is_named() -> None:
    (found,) = find_numberings(compare_rows(material(MADE)))
    assert found.shift == 1
    assert "fits P<k+1> of the index map best" in found.sentence


def test_a_numbering_is_not_judged_by_half_of_its_candidates() -> None:
    half = Made(models=("resnet50",), blocks_ms=MADE.blocks_ms, megabytes=MADE.megabytes, splits=("P5", "P15", "P16"))
    assert find_numberings(compare_rows(material(half))) == []


def test_figures_are_medians_over_repeats_with_their_interval() -> None:
    found = row(
        compare_rows(material(Made(models=("alexnet",), blocks_ms=(10.0,) * 13, megabytes=(1.0,) * 12))), "alexnet", 10
    )
    (one,) = found.measured
    assert one.runs == 3
    assert one.share.low < one.share.value < one.share.high
    assert one.compute_ms[0].value == pytest.approx(100, rel=0.05)
    assert (one.cpu_percent[0].value, one.cpu_percent[1].value) == (48.0, 49.0)


def test_the_rate_is_bytes_over_the_time_without_the_delay() -> None:
    (one,) = row(compare_rows(material(Made(models=("resnet18",), noise=0.0))), "resnet18", 2).measured
    assert one.rate_mbit == pytest.approx(1000)
    assert one.transfer_ms.value == pytest.approx(4.0 * 8 + 0.2)


def test_a_single_run_has_no_interval_and_a_split_not_run_has_no_counterpart() -> None:
    found = compare_rows(material(Made(models=("resnet18",), repeats=1)))
    assert math.isnan(row(found, "resnet18", 2).measured[0].share.low)
    assert row(found, "vgg16", 14).measured == ()
    assert row(found, "vgg16", 14).fitting is None


def test_the_speed_is_that_of_a_published_batch() -> None:
    whole = Made(models=("resnet18",), noise=0.0, blocks_ms=(193.125,) * 8, megabytes=(1.0,) * 7)
    assert speed_ratio(material(whole), compare_rows(material(whole))) == pytest.approx(1.0, rel=0.02)
    assert speed_ratio(material(whole), []) is None


def test_how_often_splitting_beats_the_unsplit_model_is_counted_by_network_and_objective() -> None:
    made = Made(models=("resnet18",), speeds={"pi_to_pi": (1.0, 1.0)})
    tallies = tally_references(find_fronts(summarise(material(made).runs)), ["lan", "bad"])
    counts = {(tally.network, tally.objective): (tally.yes, tally.no) for tally in tallies}
    assert counts["lan", "throughput"] == (1, 0)
    assert counts["lan", "latency"] == (0, 1)
    assert counts["bad", "throughput"] == (0, 1)
    assert all(tally.judged == 1 for tally in tallies)
    assert "in latency in 0 of 2 cases" in references_sentence(tallies)


def test_without_references_it_says_so() -> None:
    made = Made(models=("resnet18",), references=False)
    tallies = tally_references(find_fronts(summarise(material(made).runs)), ["lan", "bad"])
    assert tallies == []
    assert "cannot be said" in references_sentence(tallies)
