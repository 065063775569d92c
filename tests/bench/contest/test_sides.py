"""Whose cells are in the contest."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.contest.sides import EAGER, SIDES, UNSPLIT, WINDOWS, choose_splits, side_of
from sweep.errors import OptionError
from tests.bench.contest.made import contest, planned_runs


def test_every_side_has_each_of_its_cells_once_in_each_repeat() -> None:
    one = contest()
    runs = planned_runs(one)
    counts = Counter(
        (run.repeat, side_of(c.split, c.devices, c.transport, c.engine, c.codec), c.model, c.network, c.split, c.window)
        for run in runs
        for c in (run.cell,)
    )
    assert set(counts.values()) == {1}
    assert all(side is not None for _, side, *_ in counts)
    for model, by_network in one.splits.items():
        for network, points in by_network.items():
            here = [key for key in counts if key[2:4] == (model, network) and key[0] == 0]
            split_sides = len(SIDES) - len(UNSPLIT)
            assert len(here) == (len(points) * split_sides + len(UNSPLIT)) * len(WINDOWS)
            assert {key[4] for key in here} == {f"P{point}" for point in points} | {"only:v1"}


def test_no_side_has_what_two_of_them_would_share() -> None:
    assert side_of("P3", ("v1", "v2"), "tcp", "eager", "none") is EAGER
    assert side_of("only:v1", ("v1", "v2"), "tcp", "eager", "none") is UNSPLIT[0]
    assert side_of("only:v2", ("v1", "v2"), "tcp", "eager", "none") is None
    assert side_of("P3", ("v1", "v2"), "rpc", "best", "none") is None
    assert side_of("P3", ("v1", "v2"), "tcp", "eager", "auto") is None


def test_splits_can_be_named() -> None:
    chosen = choose_splits(("alexnet", "resnet18"), ("lan", "mbit5"), "alexnet:3,P6")
    assert chosen["alexnet"] == {"lan": (3, 6), "mbit5": (3, 6)}
    assert chosen["resnet18"]["lan"] != chosen["resnet18"]["mbit5"]
    assert contest(splits=chosen).networks == ("lan", "mbit5")


@pytest.mark.parametrize(
    ("models", "networks", "words", "why"),
    [
        (("vgg16",), ("lan",), "", "unknown model `vgg16`.*mobilenet_v2"),
        (("alexnet",), ("wifi",), "", "unknown network `wifi`.*mbit5"),
        (("alexnet",), ("lan",), "resnet18:3", "unknown model `resnet18`.*known: alexnet"),
        (("alexnet",), ("lan",), "alexnet", "`alexnet` names no splits; remedy"),
        (("alexnet",), ("lan",), "alexnet:x", "`alexnet:x` names no splits; remedy"),
    ],
)
def test_what_is_unknown_is_refused(models: tuple[str, ...], networks: tuple[str, ...], words: str, why: str) -> None:
    with pytest.raises(OptionError, match=why):
        choose_splits(models, networks, words)
