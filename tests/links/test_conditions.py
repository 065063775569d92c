from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from links.conditions import UNSHAPED, LinkSpec, parse_condition, parse_spec, queue_packets
from stage_runtime.errors import LinkError

SHIPPED = yaml.safe_load((Path(__file__).parents[2] / "inventory/group_vars/all/networks.yml").read_text())["networks"]
CHAIN = ("a", "b", "c")


def test_both_directions_are_alike_without_forward_and_backward() -> None:
    links = parse_condition("lan", {"rate_mbit": 1000, "delay_ms": 0.2}).directed(CHAIN)
    assert set(links) == set(permutations(CHAIN, 2))
    assert set(links.values()) == {LinkSpec(rate_mbit=1000, delay_ms=0.2)}


def test_forward_leads_to_the_later_device_also_between_devices_that_are_no_neighbours() -> None:
    links = parse_condition("lte", {"delay_ms": 5, "forward": {"rate_mbit": 20}}).directed(CHAIN)
    forward, backward = LinkSpec(rate_mbit=20, delay_ms=5), LinkSpec(delay_ms=5)
    assert links["a", "b"] == links["b", "c"] == links["a", "c"] == forward
    assert links["b", "a"] == links["c", "b"] == links["c", "a"] == backward


def test_hops_override_for_neighbours_alone_what_they_name() -> None:
    condition = parse_condition(
        "uneven",
        {
            "rate_mbit": 100,
            "delay_ms": 2,
            "hops": [{"delay_ms": 1}, {"forward": {"rate_mbit": 5}, "backward": {"rate_mbit": None}}],
        },
    )
    links = condition.directed(CHAIN)
    assert links["a", "b"] == links["b", "a"] == LinkSpec(rate_mbit=100, delay_ms=1)
    assert links["b", "c"] == LinkSpec(rate_mbit=5, delay_ms=2)
    assert links["c", "b"] == LinkSpec(delay_ms=2)
    assert links["a", "c"] == links["c", "a"] == LinkSpec(rate_mbit=100, delay_ms=2)


def test_direction_of_a_hop_wins_over_the_hop_and_the_hop_over_the_condition() -> None:
    condition = parse_condition(
        "n", {"forward": {"rate_mbit": 1}, "hops": [{"rate_mbit": 2, "backward": {"rate_mbit": 3}}]}
    )
    assert condition.directed(("a", "b")) == {
        ("a", "b"): LinkSpec(rate_mbit=2),
        ("b", "a"): LinkSpec(rate_mbit=3),
    }


@pytest.mark.parametrize("count", [1, 3])
def test_hops_must_be_as_many_as_the_chain_has(count: int) -> None:
    condition = parse_condition("uneven", {"hops": [{"rate_mbit": 1}] * count})
    with pytest.raises(LinkError, match=rf"'uneven' describes {count} hops but the chain a → b → c has 2"):
        condition.directed(CHAIN)


def test_device_named_twice_is_refused() -> None:
    with pytest.raises(LinkError, match="twice in the chain a → a"):
        parse_condition("lan", {}).directed(("a", "a"))


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_shipped_conditions_are_good_for_any_chain(name: str) -> None:
    for chain in (("a",), ("a", "b"), CHAIN):
        assert len(parse_condition(name, SHIPPED[name]).directed(chain)) == len(chain) * (len(chain) - 1)


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"delay": 5}, "network 'n': unknown key delay; known keys: rate_mbit, delay_ms"),
        ({"rate_mbit": "fast"}, "network 'n': rate_mbit is 'fast'"),
        ({"rate_mbit": 0}, "rate_mbit is 0; it must be a number from 0.01"),
        ({"rate_mbit": True}, "rate_mbit is True"),
        ({"delay_ms": -1}, "delay_ms is -1"),
        ({"delay_ms": None}, "delay_ms is None"),
        ({"delay_ms": float("nan")}, "delay_ms is nan"),
        ({"loss_percent": 100}, "loss_percent is 100"),
        ({"delay_ms": 1, "jitter_ms": 2}, "jitter_ms 2 is above delay_ms 1"),
        ({"forward": {"hops": []}}, "network 'n', forward: unknown key hops"),
        ({"forward": 5}, "network 'n', forward is 5"),
        ({"hops": {"rate_mbit": 5}}, "`hops` is .* it must be a list"),
        ({"hops": [{}, {"rate": 5}]}, "network 'n', hop 2: unknown key rate"),
        ({"hops": [{"backward": {"jitter_ms": 1}}]}, "network 'n', hop 1: jitter_ms 1 is above"),
    ],
)
def test_bad_value_is_refused_by_place_and_name(mapping: dict[str, Any], said: str) -> None:
    with pytest.raises(LinkError, match=said):
        parse_condition("n", mapping)


def test_condition_must_be_a_mapping() -> None:
    with pytest.raises(LinkError, match="network 'n' is 'lan'"):
        parse_condition("n", "lan")  # type: ignore[arg-type]  # what a user's inventory may hold


numbers = st.floats(min_value=0.01, max_value=1000, allow_nan=False)
specs = st.builds(
    lambda rate, delay, share, loss: LinkSpec(
        rate_mbit=rate, delay_ms=delay, jitter_ms=delay * share, loss_percent=loss
    ),
    st.none() | numbers,
    numbers,
    st.floats(min_value=0, max_value=1),
    st.floats(min_value=0, max_value=90),
)


@given(specs)
def test_specification_survives_its_own_mapping(spec: LinkSpec) -> None:
    assert parse_spec(spec.as_dict(), "link") == spec


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.lists(st.integers())))
def test_parser_gives_a_condition_or_a_link_error(mapping: dict[str, Any]) -> None:
    try:
        condition = parse_condition("n", mapping)
    except LinkError:
        return
    assert set(condition.directed(("a", "b"))) == {("a", "b"), ("b", "a")}


def test_queue_holds_the_bandwidth_delay_product_and_a_thousand_packets() -> None:
    assert queue_packets(LinkSpec(rate_mbit=5)) == 1000
    # 1000 Mbit/s for 50 ms are 6.25 MB
    assert queue_packets(LinkSpec(rate_mbit=1000, delay_ms=50)) == 1000 + 4129
    assert queue_packets(LinkSpec(delay_ms=50)) > queue_packets(LinkSpec(rate_mbit=1000, delay_ms=50))


def test_unshaped_asks_for_nothing() -> None:
    assert not UNSHAPED.shaped
    assert all(spec.shaped for spec in (LinkSpec(rate_mbit=1), LinkSpec(delay_ms=1), LinkSpec(loss_percent=1)))
