from __future__ import annotations

import dataclasses

import moocore
import numpy as np
import pytest

from analysis.frame import runs_frame
from analysis.fronts import find_fronts
from analysis.reproduction.ensemble import Ensemble, non_dominated, pool, redraw
from analysis.summary import summarise
from tests.analysis.reproduction.made import FAST, Made, journal

ONE = Made(models=("resnet18",), networks={"lan": FAST}, speeds={"pi_to_gpu": (1.0, 3.0)}, noise=0.05)


def ensemble(made: Made) -> Ensemble:
    (found,) = redraw(runs_frame(journal(made)))
    return found


def test_the_pooled_spread_is_that_within_cells() -> None:
    found = pool([[0.0, 2.0], [10.0, 12.0], [5.0, 7.0], [1.0, 3.0], [4.0]])
    assert found is not None
    assert found.sigma == pytest.approx(np.sqrt(2.0))
    assert found.freedom == 4


def test_too_few_repeats_give_no_spread() -> None:
    assert pool([[0.0, 1.0]] * 3) is None
    assert pool([]) is None


def test_the_spread_made_up_is_found_again() -> None:
    draws = ensemble(dataclasses.replace(ONE, repeats=10)).latency_draws
    assert draws is not None
    # the latency holds three factors of 5 %, two of them on a part of it; a median of ten runs has about 0.4 of one's
    assert 0.01 < np.log(draws).std(axis=0).mean() < 0.04


def test_single_runs_leave_the_noise_unknown() -> None:
    found = ensemble(dataclasses.replace(ONE, repeats=1))
    assert not found.known
    with pytest.raises(ValueError, match="its run-to-run spread is not known"):
        found.redrawn()


def test_a_condition_of_single_runs_takes_the_spread_of_its_study() -> None:
    runs = runs_frame(journal(dataclasses.replace(ONE, networks={"lan": FAST, "other": FAST})))
    kept = runs[(runs["network"] == "lan") | (runs["repeat"] == 0)]
    assert all(found.known for found in redraw(kept))


def test_the_measured_front_is_the_front() -> None:
    runs = runs_frame(journal(ONE))
    (front,) = find_fronts(summarise(runs))
    found = ensemble(ONE)
    assert tuple(found.measured().members[0]) == front.on_front


@pytest.mark.parametrize("values", [3, 1000])
def test_fronts_of_many_replicates_are_those_that_moocore_finds(values: int) -> None:
    rng = np.random.default_rng(values)
    latency, throughput = rng.integers(values, size=(2, 50, 12)).astype(np.float64)
    for row, found in enumerate(non_dominated(latency, throughput)):
        points = np.stack([latency[row], throughput[row]], axis=1)
        expected = moocore.is_nondominated(points, maximise=[False, True], keep_weakly=True)
        assert found.tolist() == expected.tolist()


def test_references_are_named_by_their_place_in_the_chain() -> None:
    assert ensemble(ONE).splits[:3] == ("only:first", "only:last", "P1")
    assert list(ensemble(ONE).is_split[:3]) == [False, False, True]


def test_replicates_do_not_depend_on_what_else_is_analysed() -> None:
    both = runs_frame(journal(dataclasses.replace(ONE, models=("alexnet", "resnet18"))))
    found = next(one for one in redraw(both) if one.condition.model == "resnet18")
    assert np.array_equal(found.redrawn().latency_ms, ensemble(ONE).redrawn().latency_ms)


def test_redrawing_twice_doubles_the_variance_and_two_turns_are_independent() -> None:
    found = ensemble(ONE)
    once = np.log(found.redrawn().latency_ms[:, 0])
    twice = [np.log(found.redrawn_twice(turn).latency_ms[:, 0]) for turn in (1, 3)]
    assert twice[0].var() / once.var() == pytest.approx(2.0, rel=0.25)
    assert abs(np.corrcoef(*twice)[0, 1]) < 0.15


def test_some_of_the_points_keep_their_figures() -> None:
    found = ensemble(ONE)
    splits = found.only(found.is_split)
    assert splits.splits == found.splits[2:]
    assert np.array_equal(splits.redrawn().latency_ms, found.redrawn().latency_ms[:, 2:])
