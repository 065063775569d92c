"""What counts as agreement between netem and the emulator."""

from __future__ import annotations

import random
from typing import Any

import pytest

from bench.netem.compare import Compared, compare, expected_delay_ms, uniform_distance
from links.conditions import LinkSpec
from tests.bench.netem.made import LOSSY, LTE, measured


def figures(condition: dict[str, Any], **different: Any) -> dict[str, Compared]:
    """Hold a link that does what it is asked to against one that differs."""
    found = compare(LinkSpec(**condition), measured(condition, seed=1), measured(condition, seed=2, **different))
    return {figure.what: figure for figure in found}


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        (LTE, ["rate", "delay, one way", "64 KiB message", "jitter", "loss"]),
        (LOSSY, ["rate", "delay, one way", "64 KiB message", "loss"]),
    ],
)
def test_links_that_do_what_they_are_asked_to_agree(condition: dict[str, Any], names: list[str]) -> None:
    found = figures(condition)
    assert list(found) == names
    assert all(figure.agree for figure in found.values()), found


@pytest.mark.parametrize(("rate", "agree"), [(19.1, True), (20.9, True), (18.9, False), (21.1, False)])
def test_rates_may_be_five_percent_apart(rate: float, agree: bool) -> None:
    found = figures(LTE, rates_mbit=(rate, rate, 5.0))["rate"]
    assert (found.netem, found.agree) == ("20", agree)


@pytest.mark.parametrize(("late_ms", "agree"), [(0.0, True), (1.5, True), (-1.5, True), (2.5, False), (-2.5, False)])
def test_delays_may_be_two_milliseconds_apart_and_that_is_no_matter_of_jitter(late_ms: float, agree: bool) -> None:
    late = tuple(delay + late_ms for delay in measured(LTE, seed=2).delays_ms)
    found = figures(LTE, delays_ms=late)
    assert found["delay, one way"].agree is agree
    assert found["jitter"].agree


@pytest.mark.parametrize(
    ("jitter_ms", "message", "agree"),
    [
        (0, 55.0, True), (0, 50.0, True), (0, 55.3, False), (0, 49.7, False),
        (5, 65.0, True), (5, 40.0, True), (5, 65.3, False), (5, 39.7, False),  # the width of ±5 ms is 10
    ],
)  # fmt: skip
def test_messages_may_be_five_percent_and_the_jitters_width_apart(
    jitter_ms: float, message: float, agree: bool
) -> None:
    spec = LinkSpec(**LTE | {"jitter_ms": jitter_ms})
    one, other = measured(LTE), measured(LTE, messages_ms=(message,))
    assert compare(spec, one, other)[2].agree is agree


def test_short_messages_may_be_two_milliseconds_apart() -> None:
    spec = LinkSpec(**LTE | {"jitter_ms": 0})
    sides = [measured(LTE, messages_ms=(message,)) for message in (5.0, 6.9, 7.1)]
    found = [compare(spec, sides[0], other)[2] for other in sides]
    assert [figure.agree for figure in found] == [True, True, False]


def test_jitter_of_another_width_or_another_law_is_told() -> None:
    draws = random.Random(5)  # noqa: S311 - made-up noise
    narrow = tuple(draws.uniform(21.6, 28.6) for _ in range(500))
    assert not figures(LTE, delays_ms=narrow)["jitter"].agree
    normal = tuple(draws.gauss(25.1, 5 / 3) for _ in range(500))
    assert not figures(LTE, delays_ms=normal)["jitter"].agree
    assert uniform_distance(LinkSpec(**LTE), measured(LTE)) < 0.07
    assert uniform_distance(LinkSpec(**LTE), measured(LTE, delays_ms=normal)) > 0.1


@pytest.mark.parametrize(("lost", "agree"), [(400, True), (440, True), (330, True), (520, False), (300, False)])
def test_losses_are_judged_by_chance(lost: int, agree: bool) -> None:
    assert figures(LOSSY, lost=lost)["loss"].agree is agree


def test_losses_that_agree_with_each_other_but_not_with_what_was_asked_do_not() -> None:
    both = measured(LOSSY, lost=800)
    (loss,) = [figure for figure in compare(LinkSpec(**LOSSY), both, both) if figure.what == "loss"]
    assert loss.apart == "p 1"
    assert not loss.agree


@pytest.mark.parametrize("dropped", [0, 1])
def test_link_without_loss_drops_nothing(dropped: int) -> None:
    found = figures(LTE, dropped=dropped)["loss"]
    assert (found.asked, found.emulator, found.agree) == ("none", str(dropped), dropped == 0)


def test_expected_delay_counts_the_datagrams_own_time() -> None:
    # 106 bytes at 5 Mbit/s are 0.1696 ms
    assert expected_delay_ms(LinkSpec(rate_mbit=5, delay_ms=200)) == pytest.approx(200.1696)
