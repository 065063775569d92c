from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.conclusion import conclude
from analysis.fronts import Front, _on_front, find_fronts, find_knee, hypervolume, non_dominated
from analysis.intervals import Basis
from analysis.summary import Condition, Estimate, Point

CONDITION = Condition("mobilenet_v2", "paper", "pi_to_pi", "lan", "tcp", "eager", "none", 8)
# few distinct values, so that ties and equal points come up all the time
VALUES = st.integers(1, 6).map(float)
POINTS = st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=12)


def fixed(value: float, spread: float = 0.0, runs: int = 3) -> Estimate:
    replicates = value + spread * np.linspace(-1, 1, 200)
    basis: Basis = "repeats" if runs > 1 else "none"
    return Estimate(
        value=value, low=replicates.min(), high=replicates.max(), runs=runs, basis=basis, replicates=replicates
    )


def point(split: str, latency: float, throughput: float, *, spread: float = 0.0, runs: int = 3) -> Point:
    return Point(
        condition=CONDITION,
        split=split,
        cut=(int(split[1:]),) if split.startswith("P") else (),
        devices=("pi1", "pi2"),
        latency=fixed(latency, spread, runs),
        throughput=fixed(throughput, 0.0, runs),
        response_ms=latency,
        throughput_window=4,
    )


def only_front(points: list[Point]) -> Front:
    (front,) = find_fronts(points)
    return front


def brute_force(values: list[tuple[float, float]]) -> list[bool]:
    def dominates(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return a[0] <= b[0] and a[1] >= b[1] and (a[0] < b[0] or a[1] > b[1])

    return [not any(dominates(other, own) for other in values) for own in values]


@given(
    st.integers(1, 8).flatmap(
        lambda n: st.lists(st.lists(st.tuples(VALUES, VALUES), min_size=n, max_size=n), min_size=1, max_size=6)
    )
)
def test_the_front_of_every_replicate_is_what_brute_force_finds(replicates: list[list[tuple[float, float]]]) -> None:
    drawn = np.array(replicates)
    found = _on_front(drawn[:, :, 0], drawn[:, :, 1])
    assert found.tolist() == [brute_force(values) for values in replicates]


@given(POINTS)
def test_the_front_is_that_of_pairwise_comparison(values: list[tuple[float, float]]) -> None:
    assert non_dominated(np.array(values)).tolist() == brute_force(values)


def test_latency_is_minimised_and_throughput_maximised() -> None:
    front = only_front([point("P1", 10, 100), point("P2", 20, 200), point("P3", 15, 90), point("P4", 30, 199)])
    assert [member.split for member in front.front_points] == ["P1", "P2"]


def test_equal_points_stand_on_the_front_together() -> None:
    front = only_front([point("P1", 10, 100), point("P2", 10, 100), point("P3", 10, 99)])
    assert front.on_front == (True, True, False)


def test_references_compete_for_the_front_like_any_split() -> None:
    front = only_front([point("only:pi1", 5, 300), point("P1", 10, 100)])
    assert [member.split for member in front.front_points] == ["only:pi1"]
    assert [member.split for member in front.references] == ["only:pi1"]


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=3, max_size=12, unique=True))
def test_the_knee_is_the_farthest_from_the_line_through_the_ends(values: list[tuple[int, int]]) -> None:
    table = np.array(values, dtype=float)
    front = table[non_dominated(table)]
    knee = find_knee(front)
    ends = front[front[:, 0].argmin()], front[front[:, 0].argmax()]
    scale = np.abs(ends[1] - ends[0])
    if len(front) == 1:
        assert knee == 0
        return
    if not scale.all():
        assert knee is None
        return
    a, b = (ends[0] / scale, ends[1] / scale)
    along = (b - a) / np.linalg.norm(b - a)
    # the signed distance by the cross product: positive to the left of the way up, where the ideal lies
    distances = [along[0] * (p / scale - a)[1] - along[1] * (p / scale - a)[0] for p in front]
    if max(distances) < 1e-9:
        assert knee is None
    else:
        assert knee is not None
        assert distances[knee] == pytest.approx(max(distances))


def test_a_knee_by_hand() -> None:
    front = np.array([(100.0, 10.0), (110.0, 45.0), (150.0, 48.0), (200.0, 50.0)])
    assert find_knee(front) == 1


def test_units_do_not_move_the_knee() -> None:
    front = np.array([(100.0, 10.0), (110.0, 45.0), (150.0, 48.0), (200.0, 50.0)])
    assert find_knee(front * [0.001, 60.0]) == 1


def test_a_front_that_bends_inwards_or_has_two_points_has_no_knee() -> None:
    assert find_knee(np.array([(100.0, 10.0), (190.0, 15.0), (200.0, 50.0)])) is None
    assert find_knee(np.array([(100.0, 10.0), (200.0, 50.0)])) is None
    assert find_knee(np.array([(100.0, 10.0), (150.0, 30.0), (200.0, 50.0)])) is None


@given(POINTS)
def test_the_hypervolume_is_the_area_counted_in_unit_squares(values: list[tuple[float, float]]) -> None:
    covered = {
        (x, y) for latency, rate in values for x in range(int(latency), 6) for y in range(int(rate))
    }  # squares between the latency and 6 ms, and between 0 and the rate
    assert hypervolume(np.array(values), 6.0) == pytest.approx(len(covered))


def test_points_beyond_the_reference_latency_add_nothing() -> None:
    assert hypervolume(np.array([(10.0, 5.0), (30.0, 50.0)]), 20.0) == pytest.approx(50.0)
    assert hypervolume(np.array([(30.0, 50.0)]), 20.0) == 0.0


def test_the_probability_of_being_on_the_front_follows_the_replicates() -> None:
    clear, rival = point("P1", 100, 50, spread=10), point("P2", 105, 50)
    worse = point("P3", 200, 10)
    front = only_front([clear, rival, worse])
    # P1's replicates run evenly from 90 to 110: below P2's 105 in three quarters of them
    assert front.probability[0] == pytest.approx(0.75, abs=0.01)
    assert front.probability[1] == pytest.approx(0.25, abs=0.01)
    assert front.probability[2] == 0.0


def test_what_is_dominated_within_noise_is_told_from_what_is_dominated() -> None:
    # P2's latency is beaten by P1's median, and in a quarter of the replicates it beats P1
    front = only_front([point("P1", 100, 50, spread=10), point("P2", 105, 50), point("P3", 200, 10)])
    assert front.on_front == (True, False, False)
    assert front.within_noise == (False, True, False)
    assert [near.split for near in front.near_points] == ["P2"]


def test_nothing_is_called_noise_where_the_noise_is_not_known() -> None:
    front = only_front([point("P1", 100, 50, runs=1), point("P2", 101, 50, runs=1)])
    assert front.within_noise == (False, False)


def test_no_probability_is_claimed_from_single_runs() -> None:
    front = only_front([point("P1", 100, 50), point("P2", 105, 60, runs=1)])
    assert all(math.isnan(share) for share in front.probability)


def test_the_gain_is_against_the_best_reference_of_each_objective() -> None:
    points = [point("only:pi1", 100, 20), point("only:pi2", 200, 30), point("P3", 80, 25), point("P5", 120, 60)]
    front = only_front(points)
    assert front.latency_gain is not None
    assert front.throughput_gain is not None
    assert (front.latency_gain.split.split, front.latency_gain.reference.split) == ("P3", "only:pi1")
    assert front.latency_gain.factor == pytest.approx(1.25)
    assert (front.throughput_gain.split.split, front.throughput_gain.reference.split) == ("P5", "only:pi2")
    assert front.throughput_gain.factor == pytest.approx(2.0)
    assert conclude(front).worth == "both"


@pytest.mark.parametrize(
    ("split", "spread", "worth"),
    [((80, 10), 0, "latency"), ((120, 60), 0, "throughput"), ((120, 10), 0, "no"), ((99, 10), 30, "unclear")],
)
def test_worth_says_in_what_splitting_wins(split: tuple[float, float], spread: float, worth: str) -> None:
    front = only_front([point("only:pi1", 100, 20), point("P3", *split, spread=spread)])
    assert conclude(front).worth == worth


@pytest.mark.parametrize(("latency", "verdict"), [(70, "yes"), (90, "unclear"), (110, "unclear"), (140, "no")])
def test_single_runs_need_a_gain_beyond_drift(latency: float, verdict: str) -> None:
    front = only_front([point("only:pi1", 100, 20, runs=1), point("P3", latency, 20, runs=1)])
    assert front.latency_gain is not None
    assert front.latency_gain.verdict == verdict


def test_without_a_reference_nothing_is_concluded_about_splitting() -> None:
    conclusion = conclude(only_front([point("P1", 10, 100), point("P2", 20, 200)]))
    assert conclusion.worth is None
    assert "lacks the unsplit model" in conclusion.sentence


def test_the_sentence_names_both_sides_and_the_factor() -> None:
    points = [point("only:pi1", 100, 20), point("P3", 80, 10)]
    sentence = conclude(only_front(points)).sentence
    assert sentence.startswith("Splitting beats the unsplit model in latency only: latency 1.25")
    assert "lower (P3 against only:pi1); throughput 2.00" in sentence
