from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.compute import Analysis
from analysis.fronts import find_fronts
from analysis.moves import Moves, follow
from analysis.networks import carry_times, wire_ms
from analysis.words import moves_words
from tests.analysis.making import CONDITION, made_fronts, made_point

CARRY = {("pi_to_pi", "good"): 8.0, ("pi_to_pi", "middling"): 80.0, ("pi_to_pi", "bad"): 1800.0}
NETWORKS = {
    "bad": {"only:pi1": (100.0, 10.0), "P3": (300.0, 4.0), "P9": (200.0, 10.0)},
    "good": {"only:pi1": (100.0, 10.0), "P3": (90.0, 20.0), "P9": (95.0, 30.0)},
    "middling": {"only:pi1": (100.0, 10.0), "P3": (150.0, 12.0), "P9": (120.0, 20.0)},
}
PAIRS = st.tuples(st.integers(1, 6).map(float), st.integers(1, 6).map(float))


def followed() -> Moves:
    return follow(CONDITION.study(), made_fronts(NETWORKS), CARRY)


def test_networks_go_from_the_best_to_the_worst_and_splits_come_stay_and_leave() -> None:
    moves = followed()
    assert [step.front.condition.network for step in moves.steps] == ["good", "middling", "bad"]
    good, middling, bad = moves.steps
    assert good.stayed == ("P3", "P9")
    assert (middling.stayed, middling.came, middling.left) == (("P9",), ("only:pi1",), ("P3",))
    assert (bad.stayed, bad.came, bad.left) == (("only:pi1",), (), ("P9",))
    assert moves.always == ()
    assert [step.kept for step in moves.steps] == [1.0, pytest.approx(1 / 3), 0.0]


def test_the_first_devices_share_is_a_mean_over_the_front() -> None:
    good, _, bad = followed().steps
    assert good.first_blocks == pytest.approx((3 / 19 + 9 / 19) / 2)
    assert good.first_compute == pytest.approx((6 / 22 + 18 / 28) / 2)
    assert (bad.first_blocks, bad.first_compute) == (1.0, 1.0)


def test_all_hypervolumes_have_one_reference_and_one_ideal() -> None:
    moves = followed()
    # the greatest latency of any front is P9's 120 ms under the middling network
    assert moves.hypervolume_latency_ms == pytest.approx(132)
    good, middling, bad = moves.steps
    assert good.hypervolume == pytest.approx((132 - 95) * 30 + (95 - 90) * 20)
    assert middling.hypervolume == pytest.approx((132 - 120) * 20 + (120 - 100) * 10)
    assert bad.hypervolume_share == pytest.approx((132 - 100) * 10 / ((132 - 90) * 30))


def test_a_change_within_noise_is_unsure() -> None:
    # P3's replicates under the middling network run evenly from 90 to 210 ms: at times below P9's 120 ms
    points = [
        made_point(split, [latency] * 3, [rate] * 3, network, 60.0 if (split, network) == ("P3", "middling") else 0.0)
        for network, splits in NETWORKS.items()
        for split, (latency, rate) in splits.items()
    ]
    step = follow(CONDITION.study(), find_fronts(points), CARRY).steps[1]
    assert (step.left, step.unsure) == (("P3",), ("P3",))
    assert followed().steps[1].unsure == ()


def test_a_split_that_was_not_measured_on_both_sides_neither_comes_nor_leaves() -> None:
    networks = {
        "good": {"P3": (90.0, 20.0), "P9": (95.0, 30.0)},
        "bad": {"P3": (90.0, 20.0), "P12": (80.0, 10.0)},
    }
    step = follow(CONDITION.study(), made_fronts(networks), CARRY).steps[1]
    assert (step.stayed, step.came, step.left) == (("P3",), (), ())


@given(st.lists(st.tuples(PAIRS, PAIRS), min_size=1, max_size=6))
def test_changes_are_those_of_comparing_the_two_fronts_one_by_one(
    values: list[tuple[tuple[float, float], ...]],
) -> None:
    sides = [{f"P{place + 1}": pair[side] for place, pair in enumerate(values)} for side in (0, 1)]

    def on_front(side: dict[str, tuple[float, float]], split: str) -> bool:
        latency, rate = side[split]
        return not any(x <= latency and y >= rate and (x, y) != (latency, rate) for x, y in side.values())

    moves = follow(CONDITION.study(), made_fronts({"good": sides[0], "bad": sides[1]}), CARRY)
    _, bad = moves.steps
    for split in sides[0]:
        before, after = on_front(sides[0], split), on_front(sides[1], split)
        assert (split in bad.stayed) == (before and after)
        assert (split in bad.came) == (after and not before)
        assert (split in bad.left) == (before and not after)
        assert (split in moves.always) == (before and after)


def test_the_words_say_who_stays_and_how_much_changes() -> None:
    words = moves_words(followed())
    assert words.startswith(
        "From good (the best network) to bad (the worst): no split on the front throughout; P3 and P9"
    )
    assert "only:pi1 new at the end" in words
    assert "The front goes from 2 to 1 points" in words
    assert "of the blocks from 32% to 100%" in words


def test_networks_are_ranked_by_what_the_links_forward_were_asked_for(analysis_of_both: Analysis) -> None:
    times = carry_times(analysis_of_both.runs)
    assert times["pi_to_pi", "lan"] == pytest.approx(0.2 + 8 / 0.955)
    assert times["pi_to_pi", "paper_200ms_5mbit"] == pytest.approx(200 + 1600 / 0.955)
    assert wire_ms(1e6, None) == 0
    moves = analysis_of_both.studies[0].moves
    assert moves is not None
    assert [step.front.condition.network for step in moves.steps] == ["lan", "paper_200ms_5mbit"]


def test_the_way_back_does_not_rank_a_network() -> None:
    def side(source: str, target: str, rate: float) -> dict[str, object]:
        return {"source": source, "target": target, "asked": {"rate_mbit": rate, "delay_ms": 1.0}}

    link = [side("a", "b", 8.0), side("b", "c", 16.0), side("b", "a", 0.1), side("c", "b", 0.1)]
    runs = pd.DataFrame({"chain": ["c3"], "network": ["n"], "devices": [("a", "b", "c")], "link": [link]})
    assert carry_times(runs)["c3", "n"] == pytest.approx(2 + 1000 / 0.955 + 500 / 0.955)
