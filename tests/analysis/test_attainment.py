from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.attainment import PERCENTS, Attainment, attain
from analysis.fronts import find_fronts
from tests.analysis.making import made_point

VALUES = st.integers(1, 6).map(float)


def attained(repeats: list[list[tuple[float, float]]]) -> Attainment | None:
    """Attain from one list of (latency, throughput) per repeat, a split at each place."""
    points = [
        made_point(f"P{place + 1}", [run[place][0] for run in repeats], [run[place][1] for run in repeats])
        for place in range(len(repeats[0]))
    ]
    (front,) = find_fronts(points)
    return attain(front)


@given(st.integers(3, 6).flatmap(lambda n: st.lists(st.lists(st.tuples(VALUES, VALUES), min_size=3, max_size=3),
                                                    min_size=n, max_size=n)))  # fmt: skip
def test_a_surface_is_where_so_many_repeats_reach_counted_on_a_grid(repeats: list[list[tuple[float, float]]]) -> None:
    found = attained(repeats)
    assert found is not None
    for percent in PERCENTS:
        needed = math.ceil(len(repeats) * percent / 100)
        for latency, rate in itertools.product(range(1, 7), repeat=2):
            reached = sum(any(x <= latency and y >= rate for x, y in run) for run in repeats)
            below = any(x <= latency and y >= rate for x, y in found.surfaces[percent])
            assert below == (reached >= needed)


def test_the_median_surface_of_three_repeats_by_hand() -> None:
    found = attained([[(10, 5), (20, 9)], [(12, 5), (22, 9)], [(14, 5), (24, 8)]])
    assert found is not None
    assert found.surfaces[50] == ((12, 5), (22, 9))
    assert found.surfaces[25] == ((10, 5), (20, 9))
    assert found.surfaces[75] == ((14, 5), (24, 8))
    assert found.fronts[2] == ((14, 5), (24, 8))


def test_too_few_repeats_attain_nothing() -> None:
    assert attained([[(10, 5)], [(11, 5)]]) is None


def test_a_split_run_too_rarely_is_left_out_and_named() -> None:
    points = [made_point("P1", [10, 11, 12], [5, 5, 5]), made_point("P2", [1, 1], [9, 9])]
    (front,) = find_fronts(points)
    found = attain(front)
    assert found is not None
    assert (found.repeats, found.left_out) == (3, ("P2",))
    assert found.surfaces[50] == ((11, 5),)


@pytest.mark.parametrize("extra", [1, 4])
def test_only_repeats_that_every_split_has_count(extra: int) -> None:
    points = [made_point("P1", [10, 11, 12, *[1] * extra], [5] * (3 + extra)), made_point("P2", [20] * 3, [9] * 3)]
    (front,) = find_fronts(points)
    found = attain(front)
    assert found is not None
    assert found.repeats == 3
    assert found.surfaces[50] == ((11, 5), (20, 9))
