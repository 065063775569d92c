"""What no runtime can beat, against a chain that is simulated batch by batch."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage_runtime.formats.row import HopFigures, LinkDirection, StageFigures
from sweep.bounds import find_bounds

FULL = 1448  # data bytes of a full packet, which has 1514


def stage(number: int, alone_ms: float | None, **changes: object) -> StageFigures:
    figures = StageFigures(
        stage=number,
        device=f"d{number}",
        first=number,
        last=number + 1,
        accelerator="cpu",
        threads=1,
        load_ms=0.0,
        compute_ms=9.0,
        queue_ms=0.0,
        receive_ms=0.0,
        send_ms=0.0,
        cpu_percent=1.0,
        rss_mb=1.0,
        memory_percent=1.0,
        available_memory_mb=1.0,
        alone_ms=alone_ms,
        alone_cpu_ms=alone_ms,
    )
    return msgspec.structs.replace(figures, **changes)


def hop(number: int, packets: int, result_packets: int = 0) -> HopFigures:
    return HopFigures(
        hop=number,
        source=f"d{number}",
        target=f"d{number + 1}",
        bytes=packets * FULL,
        result_bytes=result_packets * FULL,
        transfer_ms=5.0,
        offset_ms=0.0,
        offset_uncertainty_ms=0.0,
        rtt_ms=1.0,
    )


def link(source: int, target: int, packets_per_ms: float, delay_ms: float = 0.0) -> LinkDirection:
    return LinkDirection(
        source=f"d{source}",
        target=f"d{target}",
        backend="tc",
        asked={},
        in_force={"rate_mbit": 1.0, "delay_ms": delay_ms},
        rtt_ms=99.0,
        bulk_mbit=packets_per_ms * 1514 * 8 / 1e3,
    )


def simulated_period_ms(
    alone: Sequence[float], sending: Sequence[float], back: Sequence[float], delay: float, window: int
) -> float:
    """Pass batches down a chain that wastes no time, and results up again; give the period in the long run."""
    count = 40 * window
    free, line, up = [0.0] * len(alone), [0.0] * len(sending), [0.0] * len(back)
    results: list[float] = []
    for number in range(count):
        now = results[number - window] if number >= window else 0.0
        for place, ms in enumerate(alone):
            free[place] = now = max(now, free[place]) + ms
            if place < len(sending):
                line[place] = max(now, line[place]) + sending[place]
                now = line[place] + delay
        for place in reversed(range(len(back))):
            up[place] = max(now, up[place]) + back[place]
            now = up[place] + delay
        results.append(now)
    first = count // 2
    return (results[-1] - results[first - 1]) / (count - first)


times = st.floats(0.1, 50.0)


@given(
    alone=st.lists(times, min_size=1, max_size=4),
    sizes=st.lists(st.integers(1, 60), min_size=3, max_size=3),
    results=st.lists(st.integers(1, 20), min_size=3, max_size=3),
    delay=st.sampled_from([0.0, 0.3, 200.0]),
    window=st.integers(1, 8),
)
def test_no_chain_beats_its_bounds_and_a_perfect_one_reaches_them(
    alone: list[float], sizes: list[int], results: list[int], delay: float, window: int
) -> None:
    count = len(alone) - 1
    stages = [stage(number, ms) for number, ms in enumerate(alone)]
    hops = [hop(number, sizes[number], results[number]) for number in range(count)]
    links = [link(a, b, 1.0, delay) for number in range(count) for a, b in ((number, number + 1), (number + 1, number))]
    bounds = find_bounds(stages, hops, links, window)
    assert bounds is not None
    assert bounds.latency_ms == pytest.approx(sum(alone) + sum(sizes[:count]) + count * delay)
    period = simulated_period_ms(alone, sizes[:count], results[:count], delay, window)
    assert bounds.period.ms == pytest.approx(period)
    assert bounds.throughput_ips(4) == pytest.approx(4e3 / period)


def test_what_sets_the_period_is_named() -> None:
    links = [link(0, 1, 2.0), link(1, 0, 2.0)]

    def limit(*alone: float, window: int = 9, packets: int = 2, back: int = 0) -> tuple[str, str]:
        bounds = find_bounds([stage(0, alone[0]), stage(1, alone[1])], [hop(0, packets, back)], links, window)
        assert bounds is not None
        return bounds.period.limit, bounds.period.where

    assert limit(5.0, 3.0) == ("stage", "d0")
    assert limit(5.0, 7.0) == ("stage", "d1")
    assert limit(5.0, 7.0, packets=20) == ("link", "d0 → d1")
    assert limit(5.0, 7.0, back=20) == ("link", "d1 → d0")
    assert limit(5.0, 7.0, window=1) == ("window", "1")


def test_under_a_quota_a_stage_that_never_rests_has_its_processor_time_over_it() -> None:
    rested = stage(0, 19.0, alone_cpu_ms=12.0, processors=0.5)
    bounds = find_bounds([rested], [], [], 4)
    assert bounds is not None
    assert (bounds.latency_ms, bounds.period.ms) == (19.0, 24.0)
    bounds = find_bounds([msgspec.structs.replace(rested, processors=1.5)], [], [], 4)
    assert bounds is not None
    assert bounds.period.ms == 19.0  # its one thread is never stopped


def test_stages_that_share_cores_share_their_time() -> None:
    three = [
        stage(0, 10.0, cores=(0,)),
        stage(1, 8.0, cores=(0,)),
        stage(2, 9.0, cores=(0, 1)),
    ]
    bounds = find_bounds(three, [], [], 9)
    assert bounds is not None
    assert (bounds.period.limit, bounds.period.where, bounds.period.ms) == ("cores", "d0 + d1", 18.0)
    apart = [msgspec.structs.replace(each, cores=()) for each in three]
    bounds = find_bounds(apart, [], [], 9)
    assert bounds is not None
    assert bounds.period.ms == 10.0


def test_the_measured_rate_counts_and_an_unshaped_link_delays_by_half_its_round_trip() -> None:
    two = [stage(0, 1.0), stage(1, 1.0)]
    shaped = link(0, 1, 1.0, 7.0)
    for one, expected in (
        (shaped, 2 + 10 + 7.0),
        (msgspec.structs.replace(shaped, backend="none"), 2 + 10 + 49.5),
        (msgspec.structs.replace(shaped, bulk_mbit=None), 2 + 10 * 12.112 + 7.0),
        (msgspec.structs.replace(shaped, bulk_mbit=None, in_force={}), 2.0),
    ):
        bounds = find_bounds(two, [hop(0, 10)], [one], 1)
        assert bounds is not None
        assert bounds.latency_ms == pytest.approx(expected)
    bounds = find_bounds(two, [hop(0, 10)], [], 1)
    assert bounds is not None
    assert bounds.latency_ms == 2.0


def test_without_a_time_alone_there_is_no_bound() -> None:
    assert find_bounds([], [], [], 1) is None
    assert find_bounds([stage(0, None), stage(1, 2.0)], [], [], 1) is None
    empty = stage(0, None, last=0)
    bounds = find_bounds([empty, stage(1, 2.0)], [], [], 1)
    assert bounds is not None
    assert bounds.latency_ms == 2.0
    bounds = find_bounds([empty], [], [], 1)
    assert bounds is not None
    assert bounds.throughput_ips(4) is None
