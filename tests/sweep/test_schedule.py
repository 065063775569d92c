"""Chains that share nothing run side by side, all others one after the other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sweep.matrix import ConditionPlan
from sweep.schedule import lanes_of
from tests.sweep.support import device, small_testbed

TESTBED = small_testbed(
    devices={name: device(name, kind="pi") for name in "abcdefgh"} | {name: device(name) for name in ("v1", "v2")}
)


def condition(devices: str, network: str = "lan") -> ConditionPlan:
    names = tuple(devices.split())
    return ConditionPlan(chain="-".join(names), devices=names, network=network, runs=())


def lanes(*conditions: ConditionPlan) -> list[list[str]]:
    return [[one.chain for one in lane] for lane in lanes_of(conditions, TESTBED)]


def test_nothing_needs_no_lane() -> None:
    assert lanes() == []


def test_chains_without_a_common_device_have_lanes_of_their_own() -> None:
    assert lanes(condition("a b"), condition("c d"), condition("e")) == [["a-b"], ["c-d"], ["e"]]


def test_the_networks_of_one_chain_follow_each_other() -> None:
    one = [condition("a b", network) for network in ("lan", "wifi")]
    assert lanes_of(one, TESTBED) == (tuple(one),)


def test_virtual_devices_share_the_control_node() -> None:
    assert lanes(condition("v1"), condition("v2"), condition("a")) == [["v1", "v2"], ["a"]]


def test_a_chain_that_links_two_lanes_joins_them_in_the_plans_order() -> None:
    joined = lanes(condition("a"), condition("b"), condition("a"), condition("c"), condition("a b"))
    assert joined == [["c"], ["a", "b", "a", "a-b"]]


@given(st.lists(st.sets(st.sampled_from("abcdefgh"), min_size=1, max_size=3), max_size=8))
def test_lanes_hold_everything_once_in_order_and_share_no_device(chains: list[set[str]]) -> None:
    conditions = [condition(" ".join(sorted(chain)), str(number)) for number, chain in enumerate(chains)]
    found = lanes_of(conditions, TESTBED)
    assert sorted(int(one.network) for lane in found for one in lane) == list(range(len(conditions)))
    seen: set[str] = set()
    for lane in found:
        numbers = [int(one.network) for one in lane]
        assert numbers == sorted(numbers)
        devices = {name for one in lane for name in one.devices}
        assert not devices & seen
        seen |= devices
        rest = set(lane[0].devices)
        for _ in lane:
            rest |= {name for one in lane if rest & set(one.devices) for name in one.devices}
        assert rest == devices, "what is in one lane hangs together"
