from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from links.conditions import FRAME_BYTES, LinkSpec
from links.emulator.schedule import Schedule

MS = 1_000_000


def arrivals(spec: LinkSpec, sent: list[tuple[int, int]], seed: int = 1) -> list[int]:
    schedule = Schedule(spec, seed)
    return [schedule.arrival_ns(now, size) for now, size in sent]


def test_idle_link_takes_delay_plus_serialisation() -> None:
    # 1250 bytes at 10 Mbit/s are 1 ms
    assert arrivals(LinkSpec(rate_mbit=10, delay_ms=5), [(0, 1250), (100 * MS, 1250)]) == [6 * MS, 106 * MS]


def test_burst_leaves_at_the_rate() -> None:
    assert arrivals(LinkSpec(rate_mbit=10, delay_ms=5), [(0, 1250)] * 4) == [6 * MS, 7 * MS, 8 * MS, 9 * MS]


def test_idle_time_is_not_saved_up_for_a_burst() -> None:
    sent = [(0, 1250), (1000 * MS, 1250), (1000 * MS, 1250)]
    assert arrivals(LinkSpec(rate_mbit=10), sent)[1:] == [1001 * MS, 1002 * MS]


def test_delay_alone_does_not_serialise() -> None:
    assert arrivals(LinkSpec(delay_ms=5), [(0, 60_000), (1 * MS, 60_000)]) == [5 * MS, 6 * MS]


packets = st.lists(st.tuples(st.integers(0, 3 * MS), st.integers(60, FRAME_BYTES)), min_size=1, max_size=60)


@given(packets, st.floats(0.5, 1000), st.floats(0, 20), st.floats(0, 1), st.integers(0, 99))
def test_packets_keep_their_order_their_rate_and_their_jitter(
    gaps: list[tuple[int, int]], rate: float, delay: float, share: float, seed: int
) -> None:
    spec = LinkSpec(rate_mbit=rate, delay_ms=delay, jitter_ms=delay * share)
    sent, now = [], 0
    for gap, size in gaps:
        now += gap
        sent.append((now, size))
    due = arrivals(spec, sent, seed)
    for (before, after), (_, size) in zip(pairwise(due), sent[1:], strict=True):
        assert after - before >= int(size * 8000 / rate)
    least = (delay - delay * share) * MS
    assert all(
        arrival >= begin + least + int(size * 8000 / rate) - 1 for arrival, (begin, size) in zip(due, sent, strict=True)
    )
    # against the definition: an arrival is late by the queue before it and the jitter, nothing else
    queue_free = 0.0
    for arrival, (begin, size) in zip(due, sent, strict=True):
        latest = max(begin + (delay + delay * share) * MS, queue_free) + size * 8000 / rate
        assert arrival <= latest + 2
        queue_free = arrival


def test_jitter_reaches_both_ends_of_its_range() -> None:
    spec = LinkSpec(delay_ms=10, jitter_ms=2)
    late = [due - now for due, (now, _) in zip(*_spread(spec), strict=True)]
    assert 8 * MS <= min(late) < 8.2 * MS
    assert 11.8 * MS < max(late) <= 12 * MS


def _spread(spec: LinkSpec) -> tuple[list[int], list[tuple[int, int]]]:
    sent = [(index * 100 * MS, 100) for index in range(500)]
    return arrivals(spec, sent), sent


def test_loss_has_its_probability() -> None:
    schedule = Schedule(LinkSpec(loss_percent=10), seed=3)
    assert sum(schedule.is_lost() for _ in range(20_000)) == pytest.approx(2000, rel=0.1)
    assert not any(Schedule(LinkSpec(), seed=3).is_lost() for _ in range(1000))


@pytest.mark.parametrize(
    ("spec", "piece"),
    [
        (LinkSpec(rate_mbit=5), FRAME_BYTES),
        (LinkSpec(rate_mbit=100), 12_500),
        (LinkSpec(rate_mbit=1000, loss_percent=0.1), FRAME_BYTES),
    ],
)
def test_piece_occupies_the_link_for_a_millisecond_or_is_one_packet(spec: LinkSpec, piece: int) -> None:
    assert Schedule(spec, 1).piece_bytes == piece


@pytest.mark.parametrize("spec", [LinkSpec(rate_mbit=1000), LinkSpec(delay_ms=5)])
def test_whole_segment_stays_whole_on_a_fast_link(spec: LinkSpec) -> None:
    headers = 46 * (FRAME_BYTES - 1448)
    assert Schedule(spec, 1).piece_bytes > 65_535 + headers
