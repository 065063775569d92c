"""The option ``splits``: its syntax, whom a word is for, and what is refused."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import OptionError
from sweep.splits import choose_cuts, parse_split, refuse_useless_splits, split_label
from tests.sweep.support import options, small_testbed

TESTBED = small_testbed()
POINTS = {"alexnet": tuple(range(1, 13)), "vgg16": tuple(range(1, 31)), "resnet18": tuple(range(1, 9))}


@pytest.mark.parametrize(
    ("token", "cuts"),
    [
        ("P3", ((3,),)),
        ("p3", ((3,),)),
        ("3", ((3,),)),
        ("P3-P5", ((3,), (4,), (5,))),
        ("3-P4", ((3,), (4,))),
        ("P7-P7", ((7,),)),
        ("P2+P5", ((2, 5),)),
        ("1+2+30", ((1, 2, 30),)),
    ],
)
def test_a_word_of_splits_names_its_cuts(token: str, cuts: tuple[tuple[int, ...], ...]) -> None:
    assert parse_split(token) == cuts


@pytest.mark.parametrize(
    "token",
    ["", "P", "Q3", "P3-", "-P3", "P5-P3", "P5+P5", "P5+P2", "P3+", "+", "P1-P2+P3", "P1+P2-P3", "P٣", "P99999", "1.5"],
)
def test_a_word_that_is_no_cut_is_refused_and_quoted(token: str) -> None:
    with pytest.raises(OptionError, match="option `splits`") as caught:
        parse_split(token)
    assert f"`{token}`" in str(caught.value)


@given(st.sets(st.integers(1, 9999), min_size=1, max_size=6).map(lambda cut: tuple(sorted(cut))))
def test_a_label_parses_back_to_its_cut(cut: tuple[int, ...]) -> None:
    assert parse_split(split_label(cut)) == (cut,)


@pytest.mark.parametrize("stages", [1, 2, 3, 4])
def test_without_splits_every_cut_is_taken(stages: int) -> None:
    points = POINTS["resnet18"]
    cuts = choose_cuts((), "resnet18", points, stages)
    assert len(cuts) == (comb(len(points), stages - 1) if stages > 1 else 0)
    assert all(len(cut) == stages - 1 and list(cut) == sorted(set(cut)) for cut in cuts)
    assert len(set(cuts)) == len(cuts)


def test_named_cuts_are_taken_once_and_by_number_of_stages() -> None:
    assert choose_cuts(("P3", "3", "P2-P4", "P1+P5"), "vgg16", POINTS["vgg16"], 2) == ((3,), (2,), (4,))
    assert choose_cuts(("P3", "P1+P5"), "vgg16", POINTS["vgg16"], 3) == ((1, 5),)
    assert choose_cuts(("P3",), "vgg16", POINTS["vgg16"], 1) == ()


def test_a_word_may_be_for_one_model_in_any_spelling() -> None:
    words = ("P3", "vgg16:P14-P15", "VGG-16:29")
    assert choose_cuts(words, "vgg16", POINTS["vgg16"], 2) == ((3,), (14,), (15,), (29,))
    assert choose_cuts(words, "resnet18", POINTS["resnet18"], 2) == ((3,),)
    assert len(choose_cuts(words[1:], "resnet18", POINTS["resnet18"], 2)) == 8


def test_a_word_for_a_model_that_is_unknown_or_not_swept_is_refused() -> None:
    with pytest.raises(OptionError, match=r"`vgg99:P3`.*vgg99"):
        choose_cuts(("vgg99:P3",), "vgg16", POINTS["vgg16"], 2)
    with pytest.raises(OptionError, match="`vgg16:P3` is for a model that is not swept; swept: alexnet"):
        refuse_useless_splits(options(model="alexnet", chains="pair", splits="vgg16:P3"), TESTBED)


def test_a_split_point_that_a_model_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(OptionError, match=r"alexnet has no split point P13 \(it has P1 to P12\)"):
        choose_cuts(("P12-P13",), "alexnet", POINTS["alexnet"], 2)
    with pytest.raises(OptionError, match="resnet18 has no split point P9"):
        choose_cuts(("P9",), "resnet18", POINTS["resnet18"], 2)
    with pytest.raises(OptionError, match="it has none"):
        choose_cuts(("P1",), "tiny", (), 2)


def test_splits_that_fit_no_chain_are_refused_with_the_chains() -> None:
    for asked in ({"splits": "P2+P5"}, {"splits": "P1", "chains": "solo"}, {"splits": "P1", "chains": "trio"}):
        with pytest.raises(OptionError, match=r"makes \d stages, but the chains \w+ have \d devices"):
            refuse_useless_splits(options(**asked), TESTBED)
    refuse_useless_splits(options(splits="P1,P2+P5", chains="pair,trio"), TESTBED)
