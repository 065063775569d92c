"""How much a connection lets be on its way."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stage_runtime.transports.room import room_bytes


@pytest.mark.parametrize(
    ("rate_mbit", "round_trip_ms", "expected"),
    [
        (5, 0.4, 256 * 1024),  # the product is 250 bytes: the least there is
        (5, 400, 506_250),  # twice 250 kB, and 10 ms
        (1000, 0.4, 1_350_000),  # a pause of 10 ms counts more than the round trip
        (10_000, 100, 16 * 2**20),
    ],
)
def test_room_is_twice_the_product_and_a_pause(rate_mbit: float, round_trip_ms: float, expected: int) -> None:
    assert room_bytes(rate_mbit, round_trip_ms) == expected


@settings(deadline=None)
@given(rate=st.floats(0.01, 50_000), round_trip=st.floats(0, 120_000))
def test_room_is_bounded_and_holds_the_product(rate: float, round_trip: float) -> None:
    room = room_bytes(rate, round_trip)
    assert 256 * 1024 <= room <= 16 * 2**20
    assert room == 16 * 2**20 or room >= int(rate * 125 * round_trip)
