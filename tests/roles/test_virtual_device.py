"""What a virtual device is planned to be: names, limits, groups and interfaces, as plain data."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.virtual_device.module_utils.splitbed_virtual import cgroups, data_link, kernel, login, network, preflight
from roles.virtual_device.module_utils.splitbed_virtual.machine import Ask, MakeFolder, Run, Write
from roles.virtual_device.module_utils.splitbed_virtual.spec import (
    Device,
    VirtualDeviceError,
    core_list,
    interface_name,
    parse_cores,
    parse_device,
    parse_testbed,
)
from roles.virtual_device.module_utils.splitbed_virtual.spec import Testbed as Bed  # pytest collects Test…
from tests.virtual_devices import write_inventory

TESTBED: dict[str, Any] = {
    "prefix": "sbB",
    "management_network": "10.215.0.0/24",
    "data_network": "10.215.1.0/24",
    "root": "/var/lib/sbB/virtual",
    "ssh_dir": "/home/user/splitbed/.splitbed/ssh",
    "owner": "/home/user/splitbed",
    "project": "/home/user/splitbed",
    "python": "/usr/bin/python3",
    "link_backend": "auto",
    "cfs_period_us": 10000,
}
DEVICE: dict[str, Any] = {
    "name": "a",
    "management_address": "10.215.0.11",
    "data_address": "10.215.1.11",
    "cpus": 0.5,
    "cores": "0-1",
    "memory_mb": 512,
}


def a_testbed(**changed: Any) -> Bed:
    return parse_testbed(TESTBED | changed)


def a_device(**changed: Any) -> Device:
    return parse_device(DEVICE | changed, a_testbed())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"prefix": "a-b"}, "virtual_device_prefix 'a-b'"),
        ({"prefix": "../etc"}, "virtual_device_prefix '../etc'"),
        ({"prefix": "nine56789"}, "1 to 8 letters"),
        ({"management_network": "10.215.0.5/24"}, "virtual_device_management_network '10.215.0.5/24'"),
        ({"data_network": "10.215.0.128/25"}, "overlap"),
        ({"root": "/"}, "virtual_device_root '/'"),
        ({"root": "here"}, "virtual_device_root 'here'"),
        ({"link_backend": "magic"}, "'magic' is none of auto, tc, user"),
    ],
)
def test_testbed_that_cannot_work_is_refused_by_name(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(VirtualDeviceError, match=said.replace("(", r"\(")):
        a_testbed(**changed)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "a/b"}, "'a/b'"),
        ({"name": "-a"}, "'-a'"),
        ({"management_address": "10.214.0.11"}, "a: ansible_host 10.214.0.11 is no host address"),
        ({"management_address": "pi.local"}, "a: ansible_host 'pi.local' is no IPv4 address"),
        ({"management_address": "10.215.0.1"}, "this machine's own address"),
        ({"data_address": "10.215.1.255"}, "a: data_address 10.215.1.255"),
        ({"cpus": 2.5}, "a: virtual_cpus 2.5 must be above 0 and at most 2"),
        ({"cpus": 0}, "a: virtual_cpus 0 must"),
        ({"cpus": 0.05}, "virtual_device_cfs_period_us to 20000"),
        ({"cores": "zero"}, "'zero' is not one"),
        ({"memory_mb": 1}, "a: virtual_memory_mb 1 is too little"),
    ],
)
def test_device_that_cannot_work_is_refused_by_name(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(VirtualDeviceError, match=said):
        a_device(**changed)


@given(st.frozensets(st.integers(0, 300), min_size=1))
def test_core_list_reads_back(cores: frozenset[int]) -> None:
    assert parse_cores(core_list(cores)) == cores


def test_core_ranges_are_read() -> None:
    assert parse_cores("0,2-4") == {0, 2, 3, 4}


def test_core_that_the_machine_lacks_is_named() -> None:
    with pytest.raises(VirtualDeviceError, match="names 7, but this machine has the cores 0-1"):
        preflight.check_cores(a_device(cores="1,7"), "0-1")
    preflight.check_cores(a_device(cores="1"), "0-1")


@given(st.text("ab1.-", min_size=1, max_size=60), st.text("ab1.-", min_size=1, max_size=60))
def test_interface_names_fit_and_differ(one: str, other: str) -> None:
    names = {interface_name("eight678", name, kind) for name in (one, other) for kind in ("m", "d")}
    assert all(len(name) <= 15 for name in names)
    assert len(names) == 2 * len({one, other})


V1 = """\
cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu 0 0
cgroup /sys/fs/cgroup/cpuset cgroup rw,relatime,cpuset 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
proc /proc proc rw 0 0
"""
V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n"


def test_controllers_are_found_in_either_generation() -> None:
    old = cgroups.find_hierarchies(V1, {"/sys/fs/cgroup/unified": ""})
    assert [(each.controller, str(each.mount), each.version) for each in old] == [
        ("cpu", "/sys/fs/cgroup/cpu", 1),
        ("cpuset", "/sys/fs/cgroup/cpuset", 1),
        ("memory", "/sys/fs/cgroup/memory", 1),
    ]
    new = cgroups.find_hierarchies(V2, {"/sys/fs/cgroup": "cpuset cpu io memory pids"})
    assert {(str(each.mount), each.version) for each in new} == {("/sys/fs/cgroup", 2)}


@pytest.mark.parametrize(("line", "apart"), [("cpu,cpuacct", False), ("cpuacct,cpu", False), ("cpuacct", True)])
def test_accounting_is_taken_where_it_lies_apart(line: str, *, apart: bool) -> None:
    mount = "/sys/fs/cgroup/acct" if apart else "/sys/fs/cgroup/cpu"
    found = cgroups.find_hierarchies(f"cgroup {mount} cgroup rw,{line} 0 0\n{V1}", {"/sys/fs/cgroup/unified": ""})
    assert [each.controller for each in found] == ["cpu", "cpuset", "memory", *["cpuacct"] * apart]
    assert cgroups.settings(a_device(), a_testbed(), found[-1]) == {} or not apart


def test_missing_controller_is_named_with_a_remedy() -> None:
    with pytest.raises(VirtualDeviceError, match=r"controller memory; .*cgroup_enable=memory"):
        cgroups.find_hierarchies(V2, {"/sys/fs/cgroup": "cpuset cpu io"})


def test_limits_are_written_in_the_words_of_each_generation() -> None:
    def words(version: int) -> dict[str, str]:
        merged: dict[str, str] = {}
        for controller in cgroups.CONTROLLERS:
            hierarchy = cgroups.Hierarchy(controller=controller, mount=Path("/x"), version=version)
            merged |= cgroups.settings(a_device(), a_testbed(), hierarchy)
        return merged

    assert words(1) == {
        "cpu.cfs_period_us": "10000",
        "cpu.cfs_quota_us": "5000",
        "cpuset.cpus": "0,1",
        "memory.limit_in_bytes": "536870912",
        "memory.memsw.limit_in_bytes": "536870912",
    }
    assert words(2) == {
        "cpu.max": "5000 10000",
        "cpuset.cpus": "0,1",
        "memory.max": "536870912",
        "memory.swap.max": "0",
    }


def test_kernel_is_told_what_is_not_in_force() -> None:
    in_force = kernel.parse("net.ipv4.tcp_slow_start_after_idle = 0\n")
    assert kernel.plan(a_device(), in_force) == []
    for other in ({}, {"net.ipv4.tcp_slow_start_after_idle": "1"}):
        (step,) = kernel.plan(a_device(), other)
        assert isinstance(step, Run)
        assert step.argv[:4] == ("ip", "netns", "exec", "sbB-a")
        assert step.argv[-1] == "net.ipv4.tcp_slow_start_after_idle=0"


def test_a_device_without_a_namespace_has_nothing_in_force() -> None:
    assert kernel.look(a_device(name="never-made")) == {}


def unified(mount: Path) -> tuple[cgroups.Hierarchy, ...]:
    return tuple(cgroups.Hierarchy(controller=name, mount=mount, version=2) for name in cgroups.CONTROLLERS)


def test_unified_groups_get_their_controllers_from_above(tmp_path: Path) -> None:
    (tmp_path / "cgroup.subtree_control").write_text("memory pids\n")
    steps = cgroups.plan(a_device(), a_testbed(), unified(tmp_path))
    group = tmp_path / "sbB.devices" / "a"
    switches = [(s.path.parent, s.text) for s in steps if isinstance(s, Write) and s.path.name.startswith("cgroup.")]
    above = {text for folder, text in switches if folder == tmp_path}
    between = {text for folder, text in switches if folder == group.parent}
    assert above == {"+cpu", "+cpuset"}  # memory is on already
    assert between == {"+cpu", "+cpuset", "+memory"}
    assert [step.path for step in steps if isinstance(step, MakeFolder)] == [group.parent, group]


def test_limits_in_force_are_left_alone_and_others_are_set(tmp_path: Path) -> None:
    group = tmp_path / "sbB.devices" / "a"
    group.mkdir(parents=True)
    for folder in (tmp_path, group.parent):
        (folder / "cgroup.subtree_control").write_text("cpu cpuset memory\n")
    (group / "cpu.max").write_text("5000 10000\n")
    (group / "cpuset.cpus").write_text("0-1\n")
    (group / "memory.max").write_text("536870912\n")  # a kernel without swap has no memory.swap.max
    assert cgroups.plan(a_device(), a_testbed(), unified(tmp_path)) == []
    (group / "cpu.max").write_text("max 100000\n")
    (step,) = cgroups.plan(a_device(), a_testbed(), unified(tmp_path))
    assert isinstance(step, Write)
    assert (step.path, step.text) == (group / "cpu.max", "5000 10000")


@pytest.mark.parametrize(
    ("present", "first"),
    [("1073741824", "memory.limit_in_bytes"), ("268435456", "memory.memsw.limit_in_bytes")],
)
def test_memory_limits_of_v1_change_in_the_order_the_kernel_accepts(tmp_path: Path, present: str, first: str) -> None:
    hierarchy = cgroups.Hierarchy(controller="memory", mount=tmp_path, version=1)
    group = hierarchy.group(a_testbed(), "a")
    group.mkdir(parents=True)
    for file in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"):
        (group / file).write_text(present)
    steps = cgroups.plan(a_device(), a_testbed(), (hierarchy,))
    assert next(step.path.name for step in steps if isinstance(step, Write)) == first
    assert len(steps) == 2


def interfaces(**links: dict[str, Any]) -> network.Interfaces:
    return network.Interfaces(by_name=links)


def a_link(*flags: str, address: str | None = None, **more: Any) -> dict[str, Any]:
    found = [{"family": "inet", "local": address, "prefixlen": 24}] if address else []
    return {"flags": [*flags], "addr_info": found, **more}


NOTHING = interfaces()
OUTER = {"sbB-m-a": a_link("UP", master="sbB0")}
INNER = {"mgmt0": a_link("UP", address="10.215.0.11")}


def plan_management(outside: dict[str, Any], inside: dict[str, Any]) -> list[str]:
    pair = network.management_pair(a_device(), a_testbed())
    lines: list[str] = []
    for step in network.plan_pair(a_device(), pair, interfaces(**outside), interfaces(**inside)):
        assert isinstance(step, Run)
        place = "inside: " if "-n" in step.argv else ""
        lines += [place + line for line in step.stdin.splitlines()]
    return lines


def test_pair_is_made_with_its_peer_inside_the_namespace() -> None:
    mac = a_device().mac("m")
    assert plan_management({}, {}) == [
        f"link add sbB-m-a type veth peer name mgmt0 address {mac} netns sbB-a",
        "link set sbB-m-a addrgenmode none",
        "link set sbB-m-a master sbB0 up",
        "inside: address flush dev mgmt0",
        "inside: address add 10.215.0.11/24 dev mgmt0",
        "inside: link set mgmt0 addrgenmode none",
        "inside: link set mgmt0 up",
    ]


@pytest.mark.parametrize(
    ("outside", "inside", "first", "count"),
    [
        (OUTER, INNER, None, 0),
        (OUTER, {}, "link delete sbB-m-a", 8),
        ({}, INNER, "inside: link delete mgmt0", 8),
        ({"sbB-m-a": a_link("UP")}, INNER, "link set sbB-m-a addrgenmode none", 2),
        (OUTER, {"mgmt0": a_link(address="10.215.0.11")}, "inside: link set mgmt0 addrgenmode none", 2),
        (OUTER, {"mgmt0": a_link("UP", address="10.215.0.9")}, "inside: address flush dev mgmt0", 2),
    ],
    ids=["whole", "no inner end", "no outer end", "not in the bridge", "down", "wrong address"],
)
def test_only_what_is_missing_of_a_pair_is_done(
    outside: dict[str, Any], inside: dict[str, Any], first: str | None, count: int
) -> None:
    lines = plan_management(outside, inside)
    assert len(lines) == count
    assert (lines[0] if lines else None) == first


def test_hardware_addresses_are_local_and_differ() -> None:
    addresses = {a_device(name=name).mac(kind) for name in ("a", "b") for kind in ("m", "d")}
    assert len(addresses) == 4
    assert all(address.startswith("02:") for address in addresses)


@pytest.mark.parametrize(
    ("destination", "interface", "conflict"),
    [
        ("default", "eth0", None),
        ("10.215.0.0/24", "sbB0", None),
        ("10.214.0.0/16", "eth0", None),
        ("10.215.0.64/26", "eth1", "10.215.0.64/26 dev eth1"),
        ("10.0.0.0/8", "tun0", "10.0.0.0/8 dev tun0"),
        ("10.215.0.77", "wg0", "10.215.0.77 dev wg0"),
    ],
)
def test_management_network_that_is_routed_elsewhere_is_found(
    destination: str, interface: str, conflict: str | None
) -> None:
    assert network.conflicting_route(a_testbed(), [{"dst": destination, "dev": interface}]) == conflict


def test_emulated_interface_is_attached_anew_where_it_was_lost() -> None:
    there = {"a": {"name": "a", "address": "10.215.1.11"}}
    whole = interfaces(data0=a_link("UP", address="10.215.1.11", linkinfo={"info_kind": "tun"}))
    assert data_link.plan_emulated_link(a_device(), a_testbed(), there, whole) == []
    steps = data_link.plan_emulated_link(a_device(), a_testbed(), there, NOTHING)
    assert [step.request["command"] for step in steps if isinstance(step, Ask)] == ["detach", "attach"]
    (attach,) = data_link.plan_emulated_link(a_device(), a_testbed(), {}, NOTHING)
    assert isinstance(attach, Ask)
    assert attach.request["device"] == {"name": "a", "netns": "sbB-a", "address": "10.215.1.11", "prefix": 24}


def test_backend_stays_that_of_the_devices_that_are_up() -> None:
    assert data_link.choose_backend(a_testbed(), "user") == "user"
    assert data_link.choose_backend(a_testbed(link_backend="tc"), None) == "tc"
    with pytest.raises(VirtualDeviceError, match=r"link backend user, not tc; take them down"):
        data_link.choose_backend(a_testbed(link_backend="tc"), "user")


def test_sshd_takes_a_key_and_nothing_else() -> None:
    config = login.sshd_config(a_device(), Path("/run/sbB/a")).splitlines()
    assert "ListenAddress 10.215.0.11:22" in config
    assert "AuthenticationMethods publickey" in config
    assert "PasswordAuthentication no" in config


def test_gateway_is_the_first_address() -> None:
    bed = a_testbed(management_network="10.215.4.0/22", data_network="10.215.1.0/24")
    assert (str(bed.gateway), bed.management) == ("10.215.4.1", IPv4Network("10.215.4.0/22"))


def test_only_virtual_devices_are_logged_in_to_in_our_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_SSH_COMMON_ARGS", "-o Compression=yes")
    bed = write_inventory(tmp_path, prefix="sbB", networks="10.215", devices={"a": {}, "r": {"device_kind": "pi"}})
    message = 'msg="{{ ansible_ssh_common_args }} <{{ link_shape_emulator_socket }}>"'
    said = bed.ansible("all", "ansible.builtin.debug", message).stdout
    virtual, real = sorted(said.split(" | SUCCESS => ")[1:], key=len, reverse=True)
    assert f"{tmp_path}/.splitbed/ssh/known_hosts/sbB-a" in virtual
    assert "StrictHostKeyChecking=yes" in virtual
    assert "</run/sbB/emulator.sock>" in virtual
    assert "msg: -o Compression=yes <>" in real
