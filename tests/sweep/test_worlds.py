from __future__ import annotations

from sweep.matrix import plan_matrix
from sweep.worlds import Worlds, needs_world
from tests.sweep.support import cell_of, options, small_testbed

PAIR = ("a", "b")


def test_a_chain_keeps_its_world_from_network_to_network() -> None:
    worlds = Worlds()
    first = worlds.world_for("pair", PAIR, needed=True)
    assert ".pair." in first
    assert worlds.world_for("pair", PAIR, needed=True) == first
    assert worlds.world_for("pair", PAIR, needed=False) == first, "its stages need not start again"


def test_without_a_cell_that_needs_one_there_is_no_world() -> None:
    worlds = Worlds()
    assert worlds.world_for("pair", PAIR, needed=False) == ""
    assert worlds.world_for("pair", PAIR, needed=True) != ""


def test_a_chain_that_shares_a_device_has_another_world_and_so_has_the_first_after_that() -> None:
    worlds = Worlds()
    first = worlds.world_for("pair", PAIR, needed=True)
    other = worlds.world_for("other", ("a", "c"), needed=True)
    again = worlds.world_for("pair", PAIR, needed=True)
    assert len({first, other, again}) == 3
    assert worlds.world_for("pair", PAIR, needed=False) == again
    assert worlds.world_for("other", ("a", "c"), needed=False) == "", "a was taken away from it"


def test_a_spoilt_world_is_replaced_when_one_is_needed() -> None:
    worlds = Worlds()
    first = worlds.world_for("pair", PAIR, needed=True)
    worlds.spoil(first)
    assert worlds.world_for("pair", PAIR, needed=False) == first
    second = worlds.world_for("pair", PAIR, needed=True)
    assert second not in {"", first}
    assert worlds.world_for("pair", PAIR, needed=True) == second


def test_two_invocations_never_have_the_same_world() -> None:
    assert Worlds().world_for("pair", PAIR, needed=True) != Worlds().world_for("pair", PAIR, needed=True)


def test_cells_over_rpc_with_more_than_one_stage_need_a_world() -> None:
    testbed = small_testbed()

    def cells(transports: str) -> list[bool]:
        (plan,) = plan_matrix(options(transports=transports), testbed, {"alexnet": tuple(range(1, 13))}, {})
        return [needs_world([cell_of(run, testbed)]) for run in plan.runs]

    assert not any(cells("tcp"))
    found = cells("rpc")
    assert any(found)
    assert not all(found), "the first device alone speaks to nobody"
