"""Which leading batches are warm-up by the rule."""

from __future__ import annotations

import numpy as np
import pytest

from stage_runtime.stage.warmup import count_discarded

STEADY = [100.0, 101.0, 99.0, 100.5, 99.5, 100.0, 101.0, 99.0]


@pytest.mark.parametrize(
    ("responses", "discarded"),
    [
        (STEADY * 2, 0),
        ([147.0, *STEADY, *STEADY], 1),
        ([147.0, 120.0, *STEADY, *STEADY], 2),
        # 9 % above the later half is within what is called the same
        ([109.0, *STEADY], 0),
        # the first that is not slower ends it, whatever comes after
        ([147.0, 100.0, 147.0, *STEADY], 1),
        # faster batches are no warm-up
        ([50.0, 60.0, *STEADY, *STEADY], 0),
        # never more than a quarter
        ([200.0] * 5 + [100.0] * 11, 4),
        # too few to tell
        ([147.0, 100.0, 100.0], 0),
        ([147.0], 0),
        ([147.0, 100.0, 100.0, 100.0], 1),
    ],
)
def test_leading_batches_that_are_slower_are_discarded(responses: list[float], discarded: int) -> None:
    assert count_discarded(responses) == discarded


@pytest.mark.parametrize(("batches", "discarded"), [(5, 0), (6, 1), (12, 3)])
def test_a_window_and_one_are_left_for_a_throughput(batches: int, discarded: int) -> None:
    slow_start = [200.0] * 3 + [100.0] * (batches - 3)
    assert count_discarded(slow_start, window=4) == discarded


def test_noise_is_hardly_ever_taken_for_warm_up() -> None:
    # a link's jitter of 30 % is noise, however far from the median single batches are
    noise = np.random.default_rng(7)
    for spread in (0.01, 0.1, 0.3):
        runs = (100 + 100 * spread * noise.uniform(-1, 1, (1000, 16))).tolist()
        assert sum(map(bool, map(count_discarded, runs))) <= 40
