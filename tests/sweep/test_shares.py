"""Where a sweep's time went."""

from __future__ import annotations

from stage_runtime.formats.row import Row
from sweep.matrix import plan_matrix
from sweep.shares import TimeShares
from tests.sweep.support import good, options, row_of, small_testbed

TESTBED = small_testbed()
RUNS = plan_matrix(options(), TESTBED, {"alexnet": tuple(range(1, 13))}, {})[0].runs


def row(elapsed_s: float, measuring_s: float, network: str = "lan") -> Row:
    made = row_of(RUNS[0], TESTBED, good(elapsed_s=elapsed_s, measuring_s=measuring_s))
    return Row(**{name: getattr(made, name) for name in Row.__struct_fields__} | {"network": network})


def test_every_second_belongs_to_one_share() -> None:
    shares = TimeShares()
    shares.add(row(5, 4), ended_s=15)
    shares.add(row(4, 3), ended_s=20)
    shares.add(row(10, 9, network="wifi"), ended_s=50)
    # lan: 10 s of which 7 measured, 2 set up, 1 between; wifi: 10 s, 9 and 1; 20 s of 40 are neither
    assert shares.describe(40.0) == (
        "swept for 0:40: 16 s measuring, 60 % not (3 s setting cells up, 1 s between cells, 20 s on conditions)"
    )


def test_a_run_that_never_began_took_no_time() -> None:
    shares = TimeShares()
    shares.add(row(5, 5), ended_s=15)
    shares.add(row_of(RUNS[0], TESTBED, good(started="", elapsed_s=0.0, measuring_s=0.0)), ended_s=90)
    assert "5 s measuring, 0 % not" in shares.describe(5.0)


def test_lanes_that_overlap_do_not_count_twice() -> None:
    shares = TimeShares()
    shares.add(row(10, 8), ended_s=20)
    shares.add(row(10, 8, network="wifi"), ended_s=20)
    assert "16 s measuring, 20 % not" in shares.describe(12.0)
