"""The matrix as data: syntax of splits, cells of every chain length, identities, order."""

from __future__ import annotations

import itertools
import subprocess
import sys
from math import comb
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stage_runtime.formats.cell import Cell, cell_id
from sweep.errors import InventoryError
from sweep.matrix import ConditionPlan, Run, cell_for, plan_matrix
from sweep.testbed import Testbed as Bed  # pytest takes a module's name in Test* for tests
from tests.sweep.support import LAN, device, options, small_testbed

TESTBED = small_testbed()
POINTS = {"alexnet": tuple(range(1, 13)), "vgg16": tuple(range(1, 31)), "resnet18": tuple(range(1, 9))}
SOURCES = {"weights": "seeded", "inputs": "default"}


def plans(testbed: Bed = TESTBED, sources: dict[str, str] = SOURCES, **given: Any) -> tuple[ConditionPlan, ...]:
    return plan_matrix(options(**given), testbed, POINTS, sources)


def runs(testbed: Bed = TESTBED, **given: Any) -> list[Run]:
    return [run for plan in plans(testbed, **given) for run in plan.runs]


def test_unknown_chains_and_networks_are_refused() -> None:
    with pytest.raises(InventoryError, match="unknown chain `pare`"):
        plans(chains="pare")
    with pytest.raises(InventoryError, match="unknown network condition `lann`"):
        plans(networks="lann")


def test_cells_of_a_chain_of_one() -> None:
    (run,) = runs(chains="solo", splits="all")
    assert (run.cell.split, run.cell.cut, run.cell.stage_blocks()) == ("only:v1", (), (("v1", 0, 13),))


def test_cells_of_a_chain_of_two() -> None:
    cells = {run.cell.split: run.cell.stage_blocks() for run in runs(splits="P1,P12")}
    assert cells == {
        "P1": (("v1", 0, 1), ("v2", 1, 13)),
        "P12": (("v1", 0, 12), ("v2", 12, 13)),
        "only:v1": (("v1", 0, 13),),
        "only:v2": (("v1", 0, 0), ("v2", 0, 13)),
    }


def test_cells_of_a_chain_of_three() -> None:
    cells = {run.cell.split: run.cell.stage_blocks() for run in runs(chains="trio", splits="P2+P5")}
    assert cells == {
        "P2+P5": (("v1", 0, 2), ("v2", 2, 5), ("v3", 5, 13)),
        "only:v1": (("v1", 0, 13),),
        "only:v2": (("v1", 0, 0), ("v2", 0, 13)),
        "only:v3": (("v1", 0, 0), ("v3", 0, 13)),
    }


def test_only_wanted_cells_are_planned() -> None:
    given = options(networks="lan,slow", splits="P1,P12", window="1,4", repeats=2)
    planned = plan_matrix(
        given, TESTBED, POINTS, SOURCES, lambda cell: cell.network == "slow" and cell.split in {"P12", "only:v1"}
    )
    assert [plan.network for plan in planned] == ["slow"]
    found = [(run.cell.split, run.cell.window, run.repeat) for run in planned[0].runs]
    assert sorted(found) == sorted(itertools.product(("P12", "only:v1"), (1, 4), (0, 1)))


def test_a_model_that_cannot_be_split_has_its_reference_points() -> None:
    planned = plan_matrix(options(splits="all"), TESTBED, {"alexnet": ()}, SOURCES)
    cells = {run.cell.split: run.cell.stage_blocks() for plan in planned for run in plan.runs}
    assert cells == {"only:v1": (("v1", 0, 1),), "only:v2": (("v1", 0, 0), ("v2", 0, 1))}


@given(
    chain=st.sampled_from(["solo", "pair", "trio"]),
    windows=st.sets(st.integers(1, 7), min_size=1, max_size=3),
    batches=st.sets(st.integers(1, 8), min_size=1, max_size=2),
    repeats=st.integers(1, 3),
)
@settings(max_examples=25, deadline=None)
def test_every_run_is_unique_and_every_cell_covers_the_model(
    chain: str, windows: set[int], batches: set[int], repeats: int
) -> None:
    planned = runs(
        model="resnet18",
        chains=chain,
        splits="all",
        networks="lan,slow",
        window=list(windows),
        batch=list(batches),
        repeats=repeats,
    )
    count = len(TESTBED.chains[chain])
    cuts = comb(8, count - 1) if count > 1 else 0
    assert len(planned) == 2 * (cuts + count) * len(windows) * len(batches) * repeats
    assert len({run.key for run in planned}) == len(planned)
    for run in planned:
        stages = run.cell.stage_blocks()
        covered = [block for _, first, last in stages for block in range(first, last)]
        assert covered == list(range(9))
        assert stages[0][0] == TESTBED.chains[chain][0], "the first device feeds the inputs"


def ids(testbed: Bed = TESTBED, **given: Any) -> set[str]:
    return {run.cell.cell_id for run in runs(testbed, **given)}


def test_cell_ids_are_the_same_in_another_process() -> None:
    run = runs()[0]
    definition = msgspec.to_builtins(run.cell)
    code = (
        "import json, sys\n"
        "from stage_runtime.formats.cell import cell_id\n"
        "print(cell_id(dict(reversed(json.loads(sys.argv[1]).items()))))"
    )
    command = [sys.executable, "-c", code, msgspec.json.encode(definition).decode()]
    for seed in ("1", "2"):
        done = subprocess.run(
            command,
            cwd=Path(__file__).parents[2],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == cell_id(definition)


def test_cell_ids_do_not_depend_on_the_order_of_anything() -> None:
    turned = small_testbed(
        networks={"slow": TESTBED.networks["slow"], "lan": dict(reversed(LAN.items()))},
        chains=dict(reversed(TESTBED.chains.items())),
    )
    given = {"networks": "lan,slow", "chains": "pair,trio", "splits": "P1,P1+P2", "window": "1,4"}
    swapped = {"networks": "slow,lan", "chains": "trio,pair", "splits": "P1+P2,P1", "window": "4,1"}
    assert ids(**given) == ids(turned, **swapped)


CHANGES: dict[str, Any] = {
    "model": lambda: ids(model="vgg16"),
    "granularity": lambda: ids(granularity="all"),
    "chain's name": lambda: ids(small_testbed(chains={"twin": ("v1", "v2")}), chains="twin"),
    "chain's devices": lambda: ids(small_testbed(chains={"pair": ("v1", "v3")})),
    "chain's order": lambda: ids(small_testbed(chains={"pair": ("v2", "v1")})),
    "chain's length": lambda: ids(small_testbed(chains={"pair": ("v1", "v2", "v3")}), splits="P1+P2"),
    "network's name": lambda: ids(small_testbed(networks={"lam": LAN}), networks="lam"),
    "network's definition": lambda: ids(small_testbed(networks={"lan": LAN | {"delay_ms": 0.3}})),
    "device's kind": lambda: ids(device_changed(kind="pi")),
    "device's cpus": lambda: ids(device_changed(cpus=0.6)),
    "device's cores": lambda: ids(device_changed(cores=(1,))),
    "batch": lambda: ids(batch=4),
    "batches": lambda: ids(batches=9),
    "warmup": lambda: ids(warmup=2),
    "window": lambda: ids(window=2),
    "transport": lambda: ids(transports="rpc"),
    "num_classes": lambda: ids(num_classes=10),
    "seed": lambda: ids(seed=1),
    "weights": lambda: {r.cell.cell_id for p in plans(sources=SOURCES | {"weights": "X"}) for r in p.runs},
    "inputs": lambda: {r.cell.cell_id for p in plans(sources=SOURCES | {"inputs": "X"}) for r in p.runs},
}


def device_changed(**changes: Any) -> Bed:
    """Change both devices of the pair, so that no cell of it is as it was."""
    changed = {name: device(name, **changes) for name in ("v1", "v2")}
    return small_testbed(devices=TESTBED.devices | changed)


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_defines_a_cell_changes_its_id(what: str) -> None:
    changed = CHANGES[what]()
    assert changed
    assert not changed & ids()


@pytest.mark.parametrize("more", [{"repeats": 3}, {"most_repeats": 4}, {"target_percent": 1}, {"cell_s": 1}], ids=str)
def test_how_often_a_cell_is_run_does_not_define_it(more: dict[str, Any]) -> None:
    assert ids(**more) == ids()


def test_a_budget_defines_a_cell_by_its_batches_alone() -> None:
    given = {"batch": 8, "batches": 8, "window": "1,4"}
    assert ids(budget="paper", **given) == ids(budget="normal", **given)


_VALUES: dict[str, Any] = {
    "model": st.sampled_from(["alexnet", "vgg16"]),
    "chains": st.sampled_from(["pair", "real"]),
    "networks": st.sampled_from(["lan", "slow"]),
    "splits": st.sampled_from(["P1", "P2", "P11"]),
    "batch": st.integers(1, 3),
    "batches": st.integers(4, 6),
    "warmup": st.integers(1, 3),
    "window": st.integers(1, 3),
    "num_classes": st.integers(1, 3),
    "seed": st.integers(0, 2),
}


@given(st.fixed_dictionaries(_VALUES), st.fixed_dictionaries(_VALUES))
@settings(max_examples=80, deadline=None)
def test_cells_share_an_id_exactly_where_all_that_defines_them_is_equal(
    one: dict[str, Any], two: dict[str, Any]
) -> None:
    first, second = runs(**one), runs(**two)
    for a, b in itertools.product(first, second):
        same_settings = all(one[key] == two[key] for key in _VALUES if key != "splits")
        assert (a.cell.cell_id == b.cell.cell_id) == (same_settings and a.cell.split == b.cell.split)


def test_a_plan_is_the_same_for_the_same_seed() -> None:
    given = {"networks": "lan,slow", "chains": "pair,trio", "splits": "all", "repeats": 2}
    assert plans(**given) == plans(**given)


def order(**given: Any) -> list[str]:
    return [run.cell.split for run in runs(model="vgg16", splits="all", **given)]


def test_cells_are_shuffled_by_the_seed_and_differently_in_each_repeat() -> None:
    cells = len(order())
    assert order() != sorted(order())
    assert sorted(order(seed=1)) == sorted(order())
    assert order(seed=1) != order()
    twice = order(repeats=2)
    assert twice[:cells] == order(), "asking for more repeats keeps the order of the first"
    assert twice[cells:] != twice[:cells]
    assert sorted(twice[cells:]) == sorted(twice[:cells])


def test_a_block_holds_every_cell_once_with_transports_batches_and_windows_mixed() -> None:
    planned = runs(transports="tcp,rpc", batch="1,8", window="1,4", splits="all", repeats=2, most_repeats=3)
    blocks = [list(block) for _, block in itertools.groupby(planned, key=lambda run: run.repeat)]
    assert [block[0].repeat for block in blocks] == [0, 1, 2], "blocks up to the most repeats are planned"
    for block in blocks:
        assert len({run.cell.cell_id for run in block}) == len(block) == (12 + 2) * 2 * 2 * 2
        for axis in ("transport", "batch", "window"):
            values = [getattr(run.cell, axis) for run in block]
            changes = sum(a != b for a, b in itertools.pairwise(values))
            assert changes > len(block) / 4, f"{axis} is shuffled with the rest, not an outer loop"
    orders = [tuple(run.cell.cell_id for run in block) for block in blocks]
    assert len(set(orders)) == len(orders)


def test_a_network_is_set_once_per_chain_and_repeats_are_outermost() -> None:
    planned = plans(networks="lan,slow", chains="pair,real", model="alexnet,vgg16", repeats=2)
    assert [(plan.chain, plan.network) for plan in planned] == [
        ("pair", "lan"),
        ("pair", "slow"),
        ("real", "lan"),
        ("real", "slow"),
    ]
    for plan in planned:
        blocks = [key for key, _ in itertools.groupby((run.repeat, run.cell.model) for run in plan.runs)]
        assert blocks == [(0, "alexnet"), (0, "vgg16"), (1, "alexnet"), (1, "vgg16")]
        assert {run.cell.chain for run in plan.runs} == {plan.chain}
        assert {run.cell.network for run in plan.runs} == {plan.network}


def test_the_order_under_one_network_does_not_depend_on_which_others_are_asked_for() -> None:
    both = plans(networks="lan,slow", splits="all")
    assert plans(networks="slow", splits="all")[0] == both[1]


def test_a_run_becomes_a_cell_with_addresses() -> None:
    run = next(run for run in runs() if run.cell.split == "only:v2")
    cell = cell_for(run, TESTBED, manifest_id="m", inputs_id="i", batches=5, timeout_s=90.0)
    assert [(stage.device, stage.first, stage.last) for stage in cell.stages] == [("v1", 0, 0), ("v2", 0, 13)]
    assert [stage.address for stage in cell.stages] == [TESTBED.devices[name].data_address for name in ("v1", "v2")]
    assert (cell.cell_id, cell.repeat) == run.key
    assert (cell.manifest_id, cell.inputs_id, cell.batches, cell.timeout_s) == ("m", "i", 5, 90.0)
    assert msgspec.json.decode(msgspec.json.encode(cell), type=Cell) == cell
