"""The throughput of results that come evenly, in bursts, or hardly at all."""

from __future__ import annotations

import itertools

import pytest

from stage_runtime.stage.figures import throughput_ips

MS = 1_000_000


def delay_bound(batches: int, window: int, round_trip_ms: int, apart_ms: int) -> list[int]:
    """Simulate a chain with a long round trip: a window's results follow each other, then nothing comes."""
    back: list[int] = []
    free = 0
    for index in range(batches):
        sent = back[index - window] if index >= window else 0
        free = max(free, sent) + apart_ms * MS
        back.append(free + round_trip_ms * MS)
    return back


def test_even_results_give_their_rate() -> None:
    back = [100 * MS * index for index in range(10)]
    for window in (1, 2, 4, 8):
        assert throughput_ips(back, 50.0, 8, window) == pytest.approx(80.0)


@pytest.mark.parametrize(("batches", "warmup", "window"), list(itertools.product((9, 16, 23), (1, 2, 5), (2, 4, 8))))
def test_bursts_count_with_their_pauses(batches: int, warmup: int, window: int) -> None:
    # one window per round trip of 400 ms and the 20 ms that its first batch takes
    back = delay_bound(batches + warmup, window, 400, 20)[warmup:]
    assert throughput_ips(back, 420.0, 1, window) == pytest.approx(window / 0.42, rel=1e-6)


def test_a_single_batch_has_its_response_alone() -> None:
    assert throughput_ips([123], 250.0, 2, 4) == 8.0


def test_fewer_results_than_a_window_all_count() -> None:
    assert throughput_ips([0, 10 * MS, 30 * MS], 40.0, 1, 4) == pytest.approx(2 / 0.03)
