"""Clocks with a known offset and drift, over links whose delays are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stage_runtime.stage.clock import MOST_DRIFT, PINGS, ClockLine, Exchange, PingBook, fit, sum_up
from stage_runtime.wire.messages import PingTrain

MS = 1_000_000
Delays = list[tuple[int, int]]
BUSY = 5  # what the other side takes to answer
S = 1000 * MS


def exchange(offset: int, there: int, back: int, start: int = 0, *, drift: float = 0.0) -> Exchange:
    """Make the exchange that a true offset (at 0), a true drift and two one-way delays give."""

    def theirs(mine: int) -> int:
        return mine + offset + round(drift * mine)

    return Exchange(start, theirs(start + there), theirs(start + there + BUSY), start + there + BUSY + back)


def train(offset: int, start: int, delays: Delays, drift: float = 0.0) -> PingTrain:
    """Sum up a train of pings 3 ms apart that begins at ``start``."""
    return sum_up(
        [
            exchange(offset, there, back, start + 3 * MS * number, drift=drift)
            for number, (there, back) in enumerate(delays)
        ]
    )


def line(offset: int, drift: float, seconds: float, before: Delays, after: Delays) -> ClockLine:
    return fit(train(offset, 0, before, drift), train(offset, round(seconds * S), after, drift))


DELAYS = st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=8)


@given(offset=st.integers(-(10**15), 10**15), delays=DELAYS, ppm=st.floats(-400, 400))
def test_the_true_offset_is_within_a_trains_uncertainty(offset: int, delays: Delays, ppm: float) -> None:
    found = train(offset, 0, delays, ppm / 1e6)
    assert abs(found.offset_ns - (offset + ppm / 1e6 * found.at_ns)) <= found.uncertainty_ns + 2
    assert found.round_trip_ns <= min(there + back for there, back in delays) + 1


@example(clock=(0, 400.0), seconds=0.5, trains=([(0, 999_405)], [(0, 0)]), share=0.0)
@given(
    clock=st.tuples(st.integers(-(10**15), 10**15), st.floats(-400, 400)),
    seconds=st.floats(0.5, 1000),
    trains=st.tuples(DELAYS, DELAYS),
    share=st.floats(0, 1),
)
def test_the_true_offset_is_within_the_uncertainty_at_every_instant(
    clock: tuple[int, float], seconds: float, trains: tuple[Delays, Delays], share: float
) -> None:
    offset, ppm = clock
    before, after = trains
    drift = ppm / 1e6
    found = line(offset, drift, seconds, before, after)
    instant = round(found.before.at_ns + share * (found.after.at_ns - found.before.at_ns))
    assert abs(found.ahead(instant) - (offset + drift * instant)) <= found.uncertainty(instant) + 4
    # and the clock can be translated back
    assert abs(found.here(instant + found.ahead(instant)) - instant) <= 1


def test_the_least_delay_of_each_direction_counts() -> None:
    # no single ping was quick both ways
    found = sum_up([exchange(7 * MS, 9 * MS, 1 * MS), exchange(7 * MS, 1 * MS, 9 * MS)])
    assert abs(found.offset_ns - 7 * MS) <= 2
    assert abs(found.uncertainty_ns - 1 * MS) < 10_000
    assert found.round_trip_ns == 10 * MS


def test_an_uneven_link_shifts_the_estimate_by_half_the_difference_and_says_so() -> None:
    found = line(0, 0.0, 5, [(30 * MS, 10 * MS)], [(30 * MS, 10 * MS)])
    instant = 2 * S
    assert found.ahead(instant) == pytest.approx(10 * MS, abs=1000)
    assert found.uncertainty(instant) == pytest.approx(20 * MS, abs=20_000)


def test_drift_beyond_the_round_trips_is_a_line() -> None:
    found = line(5 * MS, 100e-6, 20, [(100_000, 100_000)], [(100_000, 100_000)])
    assert found.drift == pytest.approx(100e-6, rel=0.01)
    for second in (0, 7, 20):
        assert found.ahead(second * S) == pytest.approx(5 * MS + 100_000 * second, abs=2000)
        assert found.uncertainty(second * S) < 120_000


def test_what_round_trips_explain_is_no_drift() -> None:
    # clocks that do not drift, over a link whose least delays differ from train to train
    found = line(0, 0.0, 10, [(25 * MS, 21 * MS)], [(20 * MS, 26 * MS)])
    assert found.drift == 0.0
    assert abs(found.ahead(5 * S)) < 1 * MS
    assert not found.jumped


def test_a_slope_steeper_than_clocks_drift_is_not_drawn() -> None:
    # more than the round trips explain, but only together with them no more than clocks drift
    found = line(0, 400e-6, 0.5, [(0, MS)], [(0, 0)])
    assert found.drift == 0.0
    assert not found.jumped


def test_one_good_train_bounds_the_error_of_the_other() -> None:
    found = line(0, 0.0, 10, [(1 * S, 0)], [(100_000, 100_000)])
    assert abs(found.ahead(0)) < 100_000
    # what a clock can drift in ten seconds, and the good train's own error
    assert found.uncertainty(0) < 10 * S * MOST_DRIFT + 300_000


def test_a_clock_that_was_suspended_is_noticed() -> None:
    before, after = train(0, 0, [(MS, MS)]), train(3 * S, 10 * S, [(MS, MS)])
    found = fit(before, after)
    assert found.jumped
    assert found.uncertainty(5 * S) >= 1.5 * S


def test_jitter_is_narrowed_by_the_number_of_pings() -> None:
    noise = np.random.default_rng(4)

    def delays() -> Delays:
        return [
            (25 * MS + int(noise.integers(-5 * MS, 5 * MS)), 25 * MS + int(noise.integers(-5 * MS, 5 * MS)))
            for _ in range(PINGS)
        ]

    found = [line(40 * MS, 20e-6, 10, delays(), delays()) for _ in range(200)]
    errors = sorted(abs(one.ahead(5 * S) - 40 * MS - 100_000) for one in found)
    assert errors[100] < 0.5 * MS
    assert errors[-1] < 2.5 * MS
    assert all(one.drift == 0 for one in found)


def test_without_an_answer_there_is_no_estimate() -> None:
    with pytest.raises(ValueError, match="no ping"):
        sum_up([])


def test_a_book_is_complete_only_after_both_trains() -> None:
    # answers that come before the next ping leaves must not look like the end
    clock = itertools.count()
    book = PingBook(lambda: next(clock))
    answered, complete = [], []

    def answer(number: int) -> None:
        book.record(number, 0, 0, next(clock))
        answered.append(book.answered)
        complete.append(book.complete)

    book.send_train(answer)
    book.send_train(answer)
    assert answered == ([False] * (PINGS - 1) + [True]) * 2
    assert complete == [False] * (2 * PINGS - 1) + [True]


def test_an_answer_to_nothing_is_refused() -> None:
    with pytest.raises(KeyError):
        PingBook().record(3, 0, 0, 0)
