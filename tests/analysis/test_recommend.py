from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.conclusion import conclude
from analysis.fronts import find_fronts
from analysis.recommend import find_robust, regrets
from analysis.study_tables import best_probability
from analysis.words import recommend_words
from tests.analysis.making import made_fronts, made_point

PAIR = st.tuples(st.integers(1, 9).map(float), st.integers(1, 9).map(float))
TABLE = st.integers(1, 5).flatmap(
    lambda splits: st.lists(st.lists(PAIR, min_size=splits, max_size=splits), min_size=2, max_size=4)
)


def made(table: list[list[tuple[float, float]]]) -> dict[str, dict[str, tuple[float, float]]]:
    return {f"net{row}": {f"P{k + 1}": pair for k, pair in enumerate(pairs)} for row, pairs in enumerate(table)}


@given(TABLE)
def test_the_robust_split_has_the_least_greatest_regret_of_all_counted_one_by_one(
    table: list[list[tuple[float, float]]],
) -> None:
    networks = made(table)

    def latency(split: str, network: str) -> float:
        return networks[network][split][0] / min(pair[0] for pair in networks[network].values())

    def throughput(split: str, network: str) -> float:
        return max(pair[1] for pair in networks[network].values()) / networks[network][split][1]

    goals = {"latency": latency, "throughput": throughput,
             "both": lambda split, network: max(latency(split, network), throughput(split, network))}  # fmt: skip
    for item in find_robust(made_fronts(networks)):
        worst = {split: max(goals[item.goal](split, net) for net in networks) for split in networks["net0"]}
        assert item.regret == pytest.approx(min(worst.values()))
        assert worst[item.split] == pytest.approx(item.regret)
        assert goals[item.goal](item.split, item.network) == pytest.approx(item.regret)
        assert latency(item.split, item.latency_network) == pytest.approx(item.latency_regret)
        assert throughput(item.split, item.throughput_network) == pytest.approx(item.throughput_regret)


def test_a_robust_split_by_hand() -> None:
    networks = {
        "good": {"only:pi1": (100.0, 10.0), "P3": (50.0, 30.0), "P9": (60.0, 20.0)},
        "bad": {"only:pi1": (100.0, 10.0), "P3": (300.0, 3.0), "P9": (130.0, 8.0)},
    }
    latency, throughput, both = find_robust(made_fronts(networks))
    assert (latency.split, latency.regret, latency.network) == ("P9", pytest.approx(1.3), "bad")
    assert (throughput.split, throughput.regret, throughput.network) == ("P9", pytest.approx(1.5), "good")
    assert (both.split, both.regret) == ("P9", pytest.approx(1.5))


def test_a_split_that_lacks_a_network_is_no_candidate_but_may_be_the_best_there() -> None:
    networks = {"good": {"P3": (50.0, 30.0), "P9": (25.0, 60.0)}, "bad": {"P3": (50.0, 30.0)}}
    found = regrets(made_fronts(networks))
    assert found.splits == ("P3",)
    assert found.latency.tolist() == [[2.0, 1.0]]
    assert {item.split for item in find_robust(made_fronts(networks))} == {"P3"}


def test_one_network_leaves_nothing_to_be_robust_against() -> None:
    assert find_robust(made_fronts({"good": {"P3": (50.0, 30.0)}})) == ()


def test_the_probability_is_how_often_the_choice_wins_when_points_are_drawn_anew() -> None:
    points = [made_point("P3", [100.0] * 3, [10.0] * 3, network, spread=10.0) for network in ("good", "bad")] + [
        made_point("P9", [105.0] * 3, [10.0] * 3, network) for network in ("good", "bad")
    ]
    fronts = find_fronts(points)
    latency = find_robust(fronts)[0]
    # P3's replicates run evenly from 90 to 110 ms, below P9's 105 in three quarters of them
    assert (latency.split, latency.probability) == ("P3", pytest.approx(0.75, abs=0.01))
    assert best_probability(fronts[0], fronts[0].points[0], "latency") == pytest.approx(0.75, abs=0.01)


def test_no_probability_is_claimed_from_single_runs() -> None:
    points = [made_point(split, [50.0], [30.0], network) for network in ("good", "bad") for split in ("P3", "P9")]
    fronts = find_fronts(points)
    assert all(math.isnan(item.probability) for item in find_robust(fronts))
    assert math.isnan(best_probability(fronts[0], fronts[0].points[0], "latency"))


def test_the_words_name_each_split_once_with_its_networks_and_figures() -> None:
    networks = {
        "good": {"only:pi1": (100.0, 10.0), "P3": (50.0, 30.0)},
        "bad": {"only:pi1": (100.0, 10.0), "P3": (300.0, 3.0)},
        "worse": {"only:pi1": (100.0, 10.0), "P3": (900.0, 1.0)},
    }
    fronts = made_fronts(networks)
    worth, latency, throughput, knee, robust = recommend_words(
        [conclude(front) for front in fronts], find_robust(fronts)
    )
    assert worth.endswith("better in latency and in throughput under good; does not pay under bad and worse.")
    assert latency == "Least latency: P3 (50.0 ms under good); only:pi1 (100 ms under bad; 100 ms under worse)."
    assert throughput.startswith("Most throughput: P3 (30.0 img/s under good); only:pi1 (10.0 img/s under bad;")
    assert knee.startswith("Knee between the two: P3 (50.0 ms, 30.0 img/s under good)")
    assert robust.startswith("Robust over all 3 networks: in latency only:pi1, at worst 2.00")
    assert "in throughput only:pi1, at worst 33% of the most throughput (good)" in robust
