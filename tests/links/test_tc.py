from __future__ import annotations

import re
from typing import Any

import pytest

from links import tc
from links.conditions import LinkSpec
from stage_runtime.errors import LinkError

LTE = LinkSpec(rate_mbit=20, delay_ms=25, jitter_ms=5, loss_percent=0.1)
HTB_ROOT = {"kind": "htb", "handle": "5b:", "root": True, "options": {"default": "0x1"}}
DEFAULT_ROOT = {"kind": "mq", "handle": "0:", "root": True, "options": {}}


def plan(*specs: LinkSpec, netem: bool = True, ssh_ports: tuple[int, ...] = (22,)) -> tc.TcPlan:
    peers = [tc.PeerLink(address=f"10.0.0.{2 + index}", spec=spec) for index, spec in enumerate(specs)]
    return tc.plan_links(interface="eth0", peers=peers, ssh_ports=ssh_ports, netem=netem)


def words(*lines: str) -> list[tuple[str, ...]]:
    return [tuple(line.split()) for line in lines]


def test_netem_plan_for_one_peer() -> None:
    assert tc.apply_commands(plan(LTE)) == words(
        "tc qdisc replace dev eth0 root handle 5b: htb default 1",
        "tc class add dev eth0 parent 5b: classid 5b:1 htb rate 100gbit quantum 60000",
        "tc filter add dev eth0 parent 5b: protocol ip prio 1 u32 match ip sport 22 0xffff flowid 5b:1",
        "tc filter add dev eth0 parent 5b: protocol ip prio 1 u32 match ip dport 22 0xffff flowid 5b:1",
        "tc class add dev eth0 parent 5b: classid 5b:10 htb rate 100gbit quantum 60000",
        "tc qdisc add dev eth0 parent 5b:10 handle 510: netem limit 1050 delay 25ms 5ms loss 0.1% rate 20000000bit",
        "tc filter add dev eth0 parent 5b: protocol ip prio 2 u32 match ip dst 10.0.0.2/32 flowid 5b:10",
    )


def test_all_that_goes_to_a_shaped_peer_is_in_its_class_but_ssh_on_any_of_its_ports() -> None:
    commands = tc.apply_commands(plan(LTE, LinkSpec(), LinkSpec(delay_ms=1), ssh_ports=(22, 2222)))
    filters = [" ".join(command) for command in commands if command[1] == "filter"]
    found = {re.sub(r".* prio (\d) u32 match ip (.*) flowid (.*)", r"\1 \2 \3", line) for line in filters}
    ssh = {f"1 {side} {port} 0xffff 5b:1" for side in ("sport", "dport") for port in (22, 2222)}
    assert found == ssh | {"2 dst 10.0.0.2/32 5b:10", "2 dst 10.0.0.4/32 5b:11"}
    assert len(filters) == 6


def test_default_class_does_not_limit() -> None:
    (default,) = [command for command in tc.apply_commands(plan(LTE)) if command[-6:-4] == ("5b:1", "htb")]
    assert default[default.index("rate") + 1] == "100gbit"


@pytest.mark.parametrize(
    ("spec", "leaf"),
    [
        (LinkSpec(delay_ms=0.2, rate_mbit=1000), "netem limit 1017 delay 0.2ms rate 1000000000bit"),
        (LinkSpec(delay_ms=10, jitter_ms=2), "netem limit 10908 delay 10ms 2ms rate 100gbit"),
        (LinkSpec(loss_percent=1), "netem limit 1000 loss 1%"),
        (LinkSpec(rate_mbit=0.5), "netem limit 1000 rate 500000bit"),
    ],
)
def test_netem_is_given_what_is_asked_and_a_rate_where_jitter_would_reorder(spec: LinkSpec, leaf: str) -> None:
    (command,) = [command for command in tc.apply_commands(plan(spec)) if "netem" in command]
    assert " ".join(command).endswith(leaf)


def test_rate_alone_needs_no_netem_and_bursts_a_few_packets() -> None:
    (command,) = [
        " ".join(line) for line in tc.apply_commands(plan(LinkSpec(rate_mbit=20), netem=False)) if "tbf" in line
    ]
    assert command.endswith("tbf rate 20000000bit burst 6056 limit 1514000")


@pytest.mark.parametrize("spec", [LTE, LinkSpec(delay_ms=1), LinkSpec(rate_mbit=1, loss_percent=1)])
def test_missing_netem_is_named_with_its_remedy(spec: LinkSpec) -> None:
    with pytest.raises(LinkError, match=r"10\.0\.0\.2 .*no qdisc `netem`.*modprobe sch_netem"):
        plan(spec, netem=False)


def netem(class_id: str, **options: Any) -> dict[str, Any]:
    return {"kind": "netem", "handle": "510:", "parent": class_id, "options": {"limit": 1000, **options}}


# As tc 6.1 prints it: seconds, fractions, bytes per second.
LTE_READ = netem(
    "5b:10",
    delay={"delay": 0.025, "jitter": 0.005, "correlation": 0},
    **{"loss-random": {"loss": 0.001, "correlation": 0}},
    rate={"rate": 2500000, "packetoverhead": 0},
)


def filters_for(*class_ids: str, ssh: int = 2) -> list[dict[str, Any]]:
    listed = [{"kind": "u32", "options": {"flowid": class_id}} for class_id in (*["5b:1"] * ssh, *class_ids)]
    return [{"kind": "u32"}, {"kind": "u32", "options": {"fh": "800:", "ht_divisor": 1}}, *listed]


def test_what_is_in_force_is_read_back() -> None:
    assert tc.in_force(plan(LTE), [HTB_ROOT, LTE_READ]) == {"10.0.0.2": LTE}
    tbf = {
        "kind": "tbf",
        "handle": "510:",
        "parent": "5b:10",
        "options": {"rate": 2500000, "burst": 6055, "lat": 597578},
    }
    rate_only = plan(LinkSpec(rate_mbit=20), netem=False)
    assert tc.in_force(rate_only, [HTB_ROOT, tbf]) == {"10.0.0.2": LinkSpec(rate_mbit=20)}


def test_rate_that_only_keeps_the_order_is_no_limit() -> None:
    asked = LinkSpec(delay_ms=10, jitter_ms=2)
    read = netem("5b:10", delay={"delay": 0.01, "jitter": 0.002}, rate={"rate": 12_500_000_000})
    assert tc.in_force(plan(asked), [HTB_ROOT, read]) == {"10.0.0.2": asked}


def test_agreement_has_no_differences() -> None:
    assert tc.differences(plan(LTE), [HTB_ROOT, LTE_READ], filters_for("5b:10")) == []
    assert tc.agrees(plan(LTE), [HTB_ROOT, LTE_READ], filters_for("5b:10"))


@pytest.mark.parametrize(
    ("qdiscs", "filters", "said"),
    [
        ([HTB_ROOT], filters_for("5b:10"), "in force nothing"),
        ([HTB_ROOT, LTE_READ | {"parent": "5b:11"}], filters_for("5b:10"), "in force nothing"),
        ([HTB_ROOT, netem("5b:10", delay={"delay": 0.026})], filters_for("5b:10"), "in force 26 ms delay"),
        ([HTB_ROOT, LTE_READ], filters_for(), "10.0.0.2: 0 filters of 1 lead to its class"),
        ([HTB_ROOT, LTE_READ], filters_for("5b:10", ssh=1), "SSH: 1 filters of 2"),
    ],
)
def test_differences_are_named(qdiscs: list[dict[str, Any]], filters: list[dict[str, Any]], said: str) -> None:
    problems = tc.differences(plan(LTE), qdiscs, filters)
    assert any(said in problem for problem in problems), problems


def test_class_left_over_from_another_plan_is_no_agreement() -> None:
    extra = LTE_READ | {"parent": "5b:11"}
    assert not tc.agrees(plan(LTE), [HTB_ROOT, LTE_READ, extra], filters_for("5b:10"))


def test_root_is_ours_or_the_kernels_or_refused() -> None:
    assert tc.root_state("eth0", [HTB_ROOT, LTE_READ]) is True
    assert tc.root_state("eth0", [DEFAULT_ROOT]) is False
    assert tc.root_state("eth0", []) is False
    with pytest.raises(LinkError, match="eth0 has a qdisc that is not ours: tbf 8001:; remove it"):
        tc.root_state("eth0", [{"kind": "tbf", "handle": "8001:", "root": True}])


@pytest.mark.parametrize(
    ("found", "same"),
    [
        (LinkSpec(rate_mbit=20.0001, delay_ms=25.0001, jitter_ms=5, loss_percent=0.1), True),
        (LinkSpec(rate_mbit=20.2, delay_ms=25, jitter_ms=5, loss_percent=0.1), False),
        (LinkSpec(delay_ms=25, jitter_ms=5, loss_percent=0.1), False),
        (LinkSpec(rate_mbit=20, delay_ms=25, jitter_ms=0, loss_percent=0.1), False),
        (LinkSpec(rate_mbit=20, delay_ms=25, jitter_ms=5), False),
    ],
)
def test_close_forgives_rounding_alone(found: LinkSpec, same: bool) -> None:
    assert tc.close(LTE, found) is same
