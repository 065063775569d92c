"""Budgets: what one word sets, what a given option overrides, what contradicts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.budgets import BUDGET_NAMES, BUDGETS
from sweep.errors import OptionError
from sweep.options import Options, parse_options


def parsed(**raw: Any) -> Options:
    return parse_options({"model": "vgg16"} | raw)


def test_every_budget_is_described() -> None:
    assert set(BUDGETS) == set(BUDGET_NAMES)


def test_the_normal_one_is_the_default_and_that_of_the_struct() -> None:
    assert parsed() == parsed(budget="normal") == Options(model=("vgg16",))
    assert (parsed().repeats, parsed().most_repeats, parsed().target_percent) == (3, 10, 5.0)


def test_the_published_runs_are_five_of_eight_batches_of_eight() -> None:
    paper = parsed(budget="paper")
    assert (paper.batch, paper.batches, paper.repeats, paper.most_repeats) == ((8,), 8, 5, 5)
    assert (paper.window, paper.cell_s) == ((1, 4), 0.0)


def test_the_quick_one_runs_each_cell_once() -> None:
    assert (parsed(budget="quick").repeats, parsed(budget="quick").most_repeats) == (1, 1)


@pytest.mark.parametrize("budget", BUDGET_NAMES)
def test_what_is_given_itself_overrides_the_budget(budget: str) -> None:
    raw = {"batch": "2", "batches": 9, "window": "3", "cell_s": 1, "repeats": 2, "most_repeats": 4, "target_percent": 9}
    found = parsed(budget=budget, **raw)
    assert (found.batch, found.batches, found.window, found.cell_s) == ((2,), 9, (3,), 1.0)
    assert (found.repeats, found.most_repeats, found.target_percent) == (2, 4, 9.0)


@given(st.sampled_from(BUDGET_NAMES), st.integers(1, 20))
def test_one_of_least_and_most_moves_the_other(budget: str, number: int) -> None:
    least = parsed(budget=budget, repeats=number)
    assert least.repeats == number
    assert least.most_repeats == max(number, BUDGETS[budget]["most_repeats"])
    most = parsed(budget=budget, most_repeats=number)
    assert most.most_repeats == number
    assert most.repeats == min(number, BUDGETS[budget]["repeats"])


def test_a_most_below_the_least_is_refused_by_name() -> None:
    with pytest.raises(OptionError, match=r"option `most_repeats`: got `2`, which is less than the least, repeats=3"):
        parsed(repeats=3, most_repeats=2)
    assert parsed(repeats=3, most_repeats=3).most_repeats == 3
