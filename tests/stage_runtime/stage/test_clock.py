from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage_runtime.stage.clock import PINGS, Exchange, PingBook, estimate

MS = 1_000_000


def exchange(offset: int, there: int, back: int, start: int = 0, busy: int = 5) -> Exchange:
    """Make the exchange that a true offset and two one-way delays give."""
    arrived = start + there + offset
    return Exchange(start, arrived, arrived + busy, start + there + busy + back)


@given(
    offset=st.integers(-(10**15), 10**15),
    delays=st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=8),
)
def test_the_true_offset_is_within_the_uncertainty(offset: int, delays: list[tuple[int, int]]) -> None:
    train = [exchange(offset, there, back) for there, back in delays]
    found = estimate(train, train)
    assert abs(found.offset - offset) <= found.uncertainty + 1
    assert found.round_trip == min(there + back for there, back in delays)


def test_the_shortest_round_trip_counts() -> None:
    train = [exchange(7 * MS, 9 * MS, 1 * MS), exchange(7 * MS, 1 * MS, 1 * MS)]
    assert estimate(train, train) == (7 * MS, 1 * MS, 2 * MS)


def test_clocks_that_drift_apart_make_the_estimate_less_certain() -> None:
    before, after = [exchange(0, MS, MS)], [exchange(30 * MS, MS, MS)]
    assert estimate(before, after).uncertainty == 30 * MS


def test_without_an_answer_there_is_no_estimate() -> None:
    with pytest.raises(ValueError, match="no ping"):
        estimate([], [])


def test_a_book_is_complete_only_after_both_trains() -> None:
    # answers that come before the next ping leaves must not look like the end
    clock = itertools.count()
    book = PingBook(lambda: next(clock))
    complete = []

    def answer(number: int) -> None:
        book.record(number, 0, 0, next(clock))
        complete.append(book.complete)

    book.send_train(answer)
    book.send_train(answer)
    assert complete == [False] * (2 * PINGS - 1) + [True]


def test_an_answer_to_nothing_is_refused() -> None:
    with pytest.raises(KeyError):
        PingBook().record(3, 0, 0, 0)
