"""What is measured on which link, and in which order."""

from __future__ import annotations

import itertools
import json

import pytest

from bench.payloads.plan import SIZES, EndConfig, Size, plan_sizes, shuffled, uncounted
from bench.payloads.yardsticks import parse_iperf
from bench.testbed import BenchError

MIB = 2**20


def test_payloads_go_from_4_kib_to_64_mib() -> None:
    assert (SIZES[0], SIZES[-1]) == (4096, 64 * MIB)
    assert all(following == 4 * size for size, following in itertools.pairwise(SIZES))


def test_payloads_too_long_for_a_link_are_left_out_and_named() -> None:
    planned, left_out = plan_sizes({"rate_mbit": 5}, 2.0)
    assert [size.payload_bytes for size in planned] == [4096 * 4**step for step in range(5)]
    assert left_out == (4 * MIB, 16 * MIB, 64 * MIB)
    assert plan_sizes({"rate_mbit": 1000}, 2.0)[1] == ()


@pytest.mark.parametrize("condition", [{}, {"rate_mbit": None}, {"rate_mbit": 1000}, {"rate_mbit": 5}])
def test_there_are_frames_to_count_for_every_payload(condition: dict[str, float | None]) -> None:
    for size in plan_sizes(condition, 2.0)[0]:
        assert 4 <= size.frames <= 4000
        assert 0 < uncounted(size.frames) < size.frames


def a_config(seed: int) -> EndConfig:
    sizes = tuple(Size(payload_bytes=size, frames=4) for size in SIZES)
    return EndConfig(
        caller="a",
        called="b",
        port=1,
        secret_file="",
        world="",
        transports=("tcp", "rpc"),
        sizes=sizes,
        rounds=3,
        seed=seed,
    )


def test_every_round_has_all_once_in_an_order_of_its_own() -> None:
    orders = [list(shuffled(a_config(1), number)) for number in range(3)]
    assert all(len(set(order)) == len(order) == 2 * len(SIZES) for order in orders)
    assert orders[0] != orders[1] != orders[2]
    assert orders[0] == list(shuffled(a_config(1), 0))
    assert orders[0] != list(shuffled(a_config(2), 0))


def test_transports_of_one_payload_follow_each_other() -> None:
    order = list(shuffled(a_config(1), 0))
    assert all(order[at][1] == order[at + 1][1] for at in range(0, len(order), 2))


def test_iperfs_received_rate_is_read() -> None:
    assert parse_iperf(json.dumps({"end": {"sum_received": {"bits_per_second": 9.5e8}}})) == 950
    with pytest.raises(BenchError, match="no received rate"):
        parse_iperf('{"error": "busy"}')
