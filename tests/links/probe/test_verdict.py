from __future__ import annotations

from typing import Any

import pytest

from links.conditions import LinkSpec
from links.probe.verdict import (
    Measured,
    bulk_bytes,
    expected_message_ms,
    expected_rtt_ms,
    problems,
    train_packets,
    uses_train,
)
from links.probe.wire import MESSAGE_PACKETS, MOST_BYTES, MOST_PACKETS

SLOW = LinkSpec(rate_mbit=20, delay_ms=25, jitter_ms=5)
FAST = LinkSpec(rate_mbit=1000, delay_ms=0.2)


def measured(spec: LinkSpec, **different: Any) -> Measured:
    method = "train" if uses_train(spec) else "tcp"
    figures = {
        "rtt_ms": expected_rtt_ms(spec, spec),
        "rtt_min_ms": expected_rtt_ms(spec, spec),
        "message_ms": expected_message_ms(spec, method),
        "bulk_mbit": spec.rate_mbit or 9000.0,
        "goodput_mbit": 0.0,
    }
    return Measured(**{**figures, "method": method, **different})


@pytest.mark.parametrize("spec", [SLOW, FAST, LinkSpec(delay_ms=50), LinkSpec()])
def test_link_that_is_as_asked_has_no_problem(spec: LinkSpec) -> None:
    assert problems(spec, spec, measured(spec)) == []


def test_expectation_counts_every_header() -> None:
    # 64 KiB are 46 TCP packets of 66 bytes of headers each, or 45 datagrams of 42
    assert expected_message_ms(LinkSpec(rate_mbit=8), "tcp") == pytest.approx((65536 + 46 * 66) / 1000)
    assert expected_message_ms(LinkSpec(rate_mbit=8, delay_ms=7), "train") == pytest.approx(
        7 + (65536 + 45 * 42) / 1000
    )


@pytest.mark.parametrize(
    ("spec", "different", "said"),
    [
        (SLOW, {"rtt_min_ms": 66.0}, "round trip 66.000 ms, expected 50.062 ms"),
        (SLOW, {"rtt_min_ms": 34.0}, "round trip 34.000 ms"),
        (SLOW, {"bulk_mbit": 17.9}, "bulk transfer 17.9 Mbit/s with headers, asked 20 Mbit/s"),
        (SLOW, {"bulk_mbit": 22.1}, "bulk transfer 22.1 Mbit/s"),
        (SLOW, {"message_ms": 25.5}, "64 KiB message 25.500 ms, expected 51.970 ms"),
        (FAST, {"rtt_min_ms": 1.5}, "round trip 1.500 ms"),
        (FAST, {"message_ms": 1.8}, "64 KiB message 1.800 ms"),
    ],
)
def test_link_that_is_off_is_named_with_both_values(spec: LinkSpec, different: dict[str, float], said: str) -> None:
    (problem,) = problems(spec, spec, measured(spec, **different))
    assert said in problem


@pytest.mark.parametrize(
    ("spec", "different"),
    [
        (SLOW, {"rtt_min_ms": 41.0}),  # jitter
        (SLOW, {"bulk_mbit": 18.1}),
        (FAST, {"rtt_min_ms": 1.3}),  # within 1 ms
        (FAST, {"message_ms": 1.6}),
    ],
)
def test_tenth_a_millisecond_and_jitter_are_forgiven(spec: LinkSpec, different: dict[str, float]) -> None:
    assert problems(spec, spec, measured(spec, **different)) == []


def test_burst_that_lets_a_message_through_is_found_though_the_bulk_rate_is_right() -> None:
    spec = LinkSpec(rate_mbit=20)
    assert problems(spec, spec, measured(spec, message_ms=0.2)) != []


def test_link_without_a_rate_is_judged_by_its_round_trip() -> None:
    spec = LinkSpec(delay_ms=50)
    assert problems(spec, spec, measured(spec, message_ms=500.0)) == []
    assert problems(spec, spec, measured(spec, rtt_min_ms=10.0)) != []
    assert problems(LinkSpec(), LinkSpec(), measured(LinkSpec(), rtt_min_ms=10.0)) == []


@pytest.mark.parametrize("rate", [0.1, 1, 5, 20, 100])
@pytest.mark.parametrize("loss", [0.0, 50.0])
def test_train_is_longer_than_a_message_and_bounded(rate: float, loss: float) -> None:
    packets = train_packets(LinkSpec(rate_mbit=rate, loss_percent=loss))
    assert 2 * MESSAGE_PACKETS <= packets <= MOST_PACKETS
    assert packets * (1 - loss / 100) > MESSAGE_PACKETS


def test_slow_and_lossy_links_are_measured_by_a_train() -> None:
    assert uses_train(LinkSpec(rate_mbit=100))
    assert uses_train(LinkSpec(rate_mbit=1000, loss_percent=1))
    assert not uses_train(LinkSpec(rate_mbit=101))
    assert not uses_train(LinkSpec())


def test_bulk_transfer_is_half_a_second_at_most_sixteen_mebibytes() -> None:
    assert bulk_bytes(LinkSpec(rate_mbit=200)) == 12_500_000
    assert bulk_bytes(LinkSpec(rate_mbit=1000)) == bulk_bytes(LinkSpec()) == MOST_BYTES
