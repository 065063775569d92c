"""``devices=``: what it accepts, which cores and ports come of it, and what is refused."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.direct.devices import (
    DEFAULT_PORT,
    allot,
    chain_name,
    make_testbed,
    parse_devices,
    parse_port,
    probe_port,
    store_port,
)
from sweep.errors import OptionError
from sweep.estimate import Estimator
from sweep.matrix import plan_matrix
from tests.sweep.support import manifest, options

CORES = range(16)


def test_devices_are_read_in_the_chains_order_with_ports_and_cores_of_their_own() -> None:
    first, second, last = parse_devices("pi1:cpu:0.5, pi2:cpu:2,gpu1:cuda", CORES)
    assert [one.name for one in (first, second, last)] == ["pi1", "pi2", "gpu1"]
    assert [one.accelerator for one in (first, second, last)] == ["cpu", "cpu", "cuda:0"]
    assert [one.cpus for one in (first, second, last)] == [0.5, 2.0, None]
    assert [one.cores for one in (first, second, last)] == [(0,), (1, 2), ()]
    ports = [store_port(first), *(port for one in (first, second, last) for port in (one.stage_port, probe_port(one)))]
    assert ports == list(range(DEFAULT_PORT, DEFAULT_PORT + 7))


def test_another_gpu_and_another_port() -> None:
    (only,) = parse_devices("g:cuda3:1", CORES, port=5000)
    assert (only.accelerator, only.stage_port, only.cores) == ("cuda:3", 5001, (0,))


def test_what_a_device_is_defines_its_cells() -> None:
    on_cpu, on_gpu = (parse_devices(f"a:{where}:1", CORES)[0] for where in ("cpu", "cuda"))
    assert on_cpu.definition != on_gpu.definition
    assert on_cpu.definition["kind"] == "process"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "`` is not of the form"),
        ("pi1", "NAME:ACCELERATOR"),
        ("pi1:tpu", "NAME:ACCELERATOR"),
        ("pi 1:cpu", "NAME:ACCELERATOR"),
        ("../x:cpu", "NAME:ACCELERATOR"),
        ("pi1:cpu:", "got `` CPUs"),
        ("pi1:cpu:0", "got `0` CPUs"),
        ("pi1:cpu:nan", "got `nan` CPUs"),
        ("pi1:cpu:inf", "got `inf` CPUs"),
        ("pi1:cpu:0.5:1", "got `0.5:1` CPUs"),
        ("pi1:cpu,pi1:cuda", "`pi1` is given twice"),
        (",".join(f"d{number}:cpu" for number in range(17)), "up to 16"),
    ],
)
def test_a_bad_device_is_refused_with_what_is_accepted(text: str, said: str) -> None:
    with pytest.raises(OptionError, match="option `devices`") as caught:
        parse_devices(text, CORES)
    assert said in str(caught.value)


@given(st.lists(st.one_of(st.none(), st.floats(0.01, 4)), min_size=1, max_size=6), st.integers(1, 20))
def test_cores_are_shared_only_where_there_are_too_few(cpus: list[float | None], count: int) -> None:
    given_cores = allot(cpus, range(count))
    wanted = [math.ceil(one) for one in cpus if one is not None]
    for one, cores in zip(cpus, given_cores, strict=True):
        assert cores == tuple(sorted(set(cores)))
        assert len(cores) == min(math.ceil(one), count) if one is not None else cores
    if sum(wanted) + (None in cpus) <= count:
        limited = [set(cores) for one, cores in zip(cpus, given_cores, strict=True) if one is not None]
        others = [set(cores) for one, cores in zip(cpus, given_cores, strict=True) if one is None]
        assert all(not a & b for a, b in itertools.combinations([*limited, *others[:1]], 2))


@pytest.mark.parametrize(
    ("devices", "name"),
    [("pi1:cpu,gpu1:cuda", "pi_to_gpu"), ("a:cpu,b:cpu,c:cpu", "a_to_b_to_c"), ("7:cpu,x9:cpu", "7_to_x")],
)
def test_a_chain_is_named_by_its_devices(devices: str, name: str) -> None:
    assert chain_name(parse_devices(devices, CORES)) == name


def test_a_gpu_is_not_taken_for_a_processor() -> None:
    testbed = make_testbed(parse_devices("pi1:cpu:1,gpu1:cuda", CORES), "pair")
    asked = options(chains="pair", networks="loopback", batches=64, splits="all")
    (plan,) = plan_matrix(asked, testbed, {"alexnet": tuple(range(1, 13))}, {})
    alone = {run.cell.split: run.cell for run in plan.runs if not run.cell.cut}
    estimator = Estimator(testbed, {"alexnet": manifest("alexnet")})
    assert estimator.cell_s(alone["only:gpu1"]) < estimator.cell_s(alone["only:pi1"]) / 2
    assert estimator.batches(alone["only:gpu1"], 2.0) == 64 > estimator.batches(alone["only:pi1"], 2.0)


def test_the_testbed_has_one_chain_and_the_loopback() -> None:
    testbed = make_testbed(parse_devices("pi1:cpu,gpu1:cuda", CORES), "mine")
    assert testbed.pick_chains(()) == ("mine",)
    assert testbed.chains == {"mine": ("pi1", "gpu1")}
    assert testbed.pick_networks(()) == ("loopback",)


def test_a_chain_that_could_not_be_a_file_is_refused() -> None:
    with pytest.raises(OptionError, match="option `chain`"):
        make_testbed(parse_devices("a:cpu", CORES), "a/b")


@pytest.mark.parametrize("text", ["0", "65535", "x", "-1", "4.5", "٣"])
def test_a_bad_port_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="option `port`"):
        parse_port(text)
    assert parse_port("47300") == 47300
