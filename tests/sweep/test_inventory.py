"""The inventory as Ansible reads it, and what is refused in it."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.errors import InventoryError
from sweep.inventory import load_testbed, parse_cores, to_plain
from tests.sweep.support import small_testbed

HOSTS = """
    all:
      vars:
        device_kind: pi
        device_home: "/home/{{ inventory_hostname }}"
        data_address: "{{ ansible_host | default(inventory_hostname) }}"
        stage_port: 47300
      children:
        pis:
          hosts:
            a: {device_kind: virtual, data_address: 10.224.1.1, virtual_cpus: 0.5, virtual_cores: "0,2-3"}
            b: {ansible_host: 10.224.1.2}
            c: {device_kind: gpu, stage_port: "47301"}
"""
VARIABLES = """
    chains: {pair: [a, b], back: [b, a], solo: [c]}
    networks: {lan: {rate_mbit: 1000, delay_ms: 0.2}, none: {}}
"""


def write(folder: Path, hosts: str = HOSTS, variables: str = VARIABLES) -> Path:
    (folder / "group_vars").mkdir(exist_ok=True)
    (folder / "group_vars" / "all.yml").write_text(dedent(variables))
    path = folder / "hosts.yml"
    path.write_text(dedent(hosts))
    return path


def test_devices_chains_and_networks_are_read_as_a_play_would(tmp_path: Path) -> None:
    testbed = load_testbed(write(tmp_path))
    a, b, c = (testbed.devices[name] for name in "abc")
    assert (a.virtual, a.cpus, a.cores, a.data_address, a.home) == (True, 0.5, (0, 2, 3), "10.224.1.1", "/home/a")
    assert (b.virtual, b.cpus, b.cores, b.data_address) == (False, None, (), "10.224.1.2")
    assert (c.kind, c.stage_port, c.data_address) == ("gpu", 47301, "c")
    assert testbed.chains == {"pair": ("a", "b"), "back": ("b", "a"), "solo": ("c",)}
    assert testbed.networks == {"lan": {"rate_mbit": 1000, "delay_ms": 0.2}, "none": {}}
    assert {type(key) for key in testbed.networks["lan"]} == {str}
    assert {"device_home", "virtual_cpus", "networks"} <= testbed.variables


def test_the_shipped_inventory_is_accepted() -> None:
    checkout = Path(__file__).parents[2]
    testbed = load_testbed(checkout / "inventory" / "hosts.yml")
    assert testbed.chains["pi_to_pi"] == ("pi1", "pi2")
    assert testbed.chains["pi_to_gpu"] == ("pi1", "gpu1")
    assert 3 in {len(chain) for chain in testbed.chains.values()}
    assert {"lan", "wifi", "lte", "congested"} <= testbed.networks.keys()
    assert {"rate_mbit": 5, "delay_ms": 200} in testbed.networks.values()


BAD_VARIABLES = [
    ("chains: {pair: [a, d]}", "unknown device `d`", "accepted: a, b, c"),
    ("chains: {pair: [pis, b]}", "chain `pair`", "a group, not a device"),
    ("chains: {pair: [a, a]}", "chain `pair`", "a device twice"),
    ("chains: {pair: a}", "chain `pair` is 'a'", "a list of devices"),
    ("chains: {pair: []}", "chain `pair` is []", "a list of devices"),
    ("chains: {pair: [{a: b}]}", "chain `pair`", "unknown device"),
    ("chains: {pair: [1, a]}", "chain `pair`", "unknown device `1`"),
    ("chains: {'to/pi': [a]}", "chain `to/pi`", "rename it"),
    ("chains: {'a,b': [a]}", "chain `a,b`", "rename it"),
    ("chains: []", "no `chains`", "chains.yml"),
    ("networks: {lan: {rate: 5}}", "'lan'", "rate_mbit"),
    ("networks: {lan: {rate_mbit: fast}}", "rate_mbit", "'fast'"),
    ("networks: {'l an': {}}", "network condition `l an`", "rename it"),
    ("networks: lan", "no `networks`", "networks.yml"),
]


@pytest.mark.parametrize(("line", "where", "why"), BAD_VARIABLES)
def test_chains_and_networks_that_make_no_sense_are_refused(tmp_path: Path, line: str, where: str, why: str) -> None:
    key = line.partition(":")[0]
    kept = [one for one in dedent(VARIABLES).splitlines() if not one.startswith(key)]
    with pytest.raises(InventoryError) as caught:
        load_testbed(write(tmp_path, variables="\n".join([*kept, line, ""])))
    assert where in str(caught.value)
    assert why in str(caught.value)


BAD_HOSTS = [
    ("device_kind: phone", "host `a`", "accepted: gpu, pi, virtual"),
    ("device_kind: virtual", "host `a`", "'virtual_cpus' is missing"),
    ("device_kind: virtual, virtual_cpus: none", "host `a`", "none"),
    ("device_kind: virtual, virtual_cpus: 0", "host `a`", "above 0"),
    ("device_kind: virtual, virtual_cpus: -1", "host `a`", "above 0"),
    ("device_kind: virtual, virtual_cpus: 1, virtual_cores: 3-1", "host `a`", "`3-1`"),
    ("stage_port: x", "host `a`", "'x'"),
    ("stage_port: null", "host `a`", "hosts.yml"),
    ("device_home: '{{ nowhere }}'", "nowhere", "undefined"),
]


@pytest.mark.parametrize(("line", "where", "why"), BAD_HOSTS)
def test_a_host_that_makes_no_sense_is_named(tmp_path: Path, line: str, where: str, why: str) -> None:
    hosts = dedent(HOSTS).splitlines()
    changed = [f"        a: {{{line}}}" if one.lstrip().startswith("a:") else one for one in hosts]
    with pytest.raises(InventoryError) as caught:
        load_testbed(write(tmp_path, hosts="\n".join(changed)))
    assert where in str(caught.value)
    assert why in str(caught.value)


def test_no_inventory_and_an_empty_one_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="no inventory at"):
        load_testbed(tmp_path / "hosts.yml")
    with pytest.raises(InventoryError, match="names no host"):
        load_testbed(write(tmp_path, hosts="all: {}\n"))


def test_overrides_mean_here_what_extra_vars_mean_in_a_play(tmp_path: Path) -> None:
    testbed = load_testbed(write(tmp_path), {"stage_port": "4000"})
    assert {device.stage_port for device in testbed.devices.values()} == {4000}
    assert testbed.chains["pair"] == ("a", "b")


def test_options_of_the_same_names_do_not_hide_the_inventorys_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ansible.vars.manager.load_extra_vars", lambda **_settings: {"chains": "pair", "modle": 1})
    testbed = load_testbed(write(tmp_path))
    assert testbed.chains["pair"] == ("a", "b")
    assert "modle" not in testbed.variables, "a misspelt extra var is not known for having been given"


def test_default_chains_are_those_that_a_sweep_takes_unasked(tmp_path: Path) -> None:
    testbed = load_testbed(write(tmp_path, variables=VARIABLES + "    default_chains: [pair]\n"))
    assert testbed.pick_chains(()) == ("pair",)
    assert testbed.pick_chains(("solo",)) == ("solo",)
    for line in ("default_chains: [pear]", "default_chains: pair"):
        with pytest.raises(InventoryError, match="default_chains"):
            load_testbed(write(tmp_path, variables=f"{VARIABLES}    {line}\n"))


def test_picking_refuses_what_is_not_there_and_lists_what_is() -> None:
    testbed = small_testbed()
    assert testbed.pick_chains(()) == tuple(testbed.chains)
    assert testbed.pick_networks(("slow",)) == ("slow",)
    with pytest.raises(InventoryError, match=r"unknown chain `pear`; did you mean `pair`\? \(accepted: other, pair"):
        testbed.pick_chains(("pear",))
    with pytest.raises(InventoryError, match=r"unknown network condition `lam`.*accepted: lan, slow"):
        testbed.pick_networks(("lan", "lam"))


@given(st.sets(st.integers(0, 200)))
def test_cores_parse_from_what_taskset_writes(cores: set[int]) -> None:
    assert parse_cores(",".join(map(str, cores))) == tuple(sorted(cores))


@given(st.integers(0, 100), st.integers(0, 100))
def test_ranges_of_cores_are_inclusive_and_never_empty(low: int, length: int) -> None:
    assert parse_cores(f" {low}-{low + length} , {low}") == tuple(range(low, low + length + 1))
    with pytest.raises(InventoryError):
        parse_cores(f"{low + 1 + length}-{low}")


@pytest.mark.parametrize("text", ["x", "0-", "-1", "0,,1", "1.5", "[0, 1]", "0;1", "²"])
def test_cores_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InventoryError, match="not a list of cores"):
        parse_cores(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=4,
    )
)
@settings(max_examples=40)
def test_plain_values_stay_what_they_are(value: object) -> None:
    assert to_plain(value) == value
