"""What counts as growth, and a short soak."""

from __future__ import annotations

import random

import pytest

from bench.soak.growth import COUNT, MEMORY, TIME, find_growth


def test_a_figure_that_stays_where_it_is_did_not_grow() -> None:
    rng = random.Random(1)  # noqa: S311 - no secret
    assert not find_growth("a", "f", [100 + rng.random() for _ in range(400)], MEMORY).grew


def test_filling_up_at_the_beginning_is_no_growth() -> None:
    assert not find_growth("a", "f", [*range(40), *[40.0] * 360], MEMORY).grew


@pytest.mark.parametrize(("limit", "step"), [(MEMORY, 0.05), (COUNT, 0.01), (TIME, 0.1)])
def test_a_little_more_each_time_is_growth(limit: object, step: float) -> None:
    found = find_growth("a", "f", [100 + step * place for place in range(400)], limit)
    assert found.grew
    assert found.most == 100 + step * 399


def test_a_single_pause_is_no_growth() -> None:
    assert not find_growth("a", "f", [*[1.0] * 380, 60.0, *[1.0] * 19], TIME).grew


def test_too_few_values_say_nothing_and_are_refused() -> None:
    with pytest.raises(ValueError, match="39 values, at least 40"):
        find_growth("a", "f", [1.0] * 39, TIME)
