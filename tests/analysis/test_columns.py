"""Records as columns: nothing is lost, and equal texts are held once."""

from __future__ import annotations

import msgspec
import pytest

from analysis.columns import Columns
from stage_runtime.formats.row import HopFigures, StageFigures
from tests.analysis.synthetic import Plan, make_row

ROW = make_row(Plan(), "lan", "P3", 1, 0)


def test_records_come_back_field_by_field() -> None:
    columns = Columns(StageFigures)
    part = columns.extend(ROW.stages)
    assert [StageFigures(**dict(record)) for record in part] == list(ROW.stages)
    assert part[1]["device"] == "pi2"
    assert part[-1]["gpu_energy_j"] is None
    assert part[0].get("no such figure") is None


def test_parts_of_one_table_keep_apart() -> None:
    columns = Columns(HopFigures)
    none, one = columns.extend(()), columns.extend(ROW.hops)
    two = columns.extend([msgspec.structs.replace(ROW.hops[0], hop=number, raw_bytes=None) for number in (1, 2)])
    assert [len(part) for part in (none, one, two)] == [0, 1, 2]
    assert not none
    assert [record["hop"] for record in two] == [1, 2]
    assert [record["hop"] for record in two[1:]] == [2]
    assert two[0]["raw_bytes"] is None
    with pytest.raises(IndexError):
        one[1]


def test_equal_texts_are_held_once() -> None:
    columns = Columns(StageFigures)
    columns.extend([msgspec.structs.replace(ROW.stages[0], device=f"pi{number}"[:3]) for number in (10, 11)])
    first, second = columns.held["device"]
    assert first is second


def test_records_can_be_taken_out() -> None:
    columns = Columns(HopFigures)
    columns.extend([msgspec.structs.replace(ROW.hops[0], hop=number, source=f"pi{number}") for number in range(4)])
    columns.keep([True, False, True, False])
    assert (columns.count, list(columns.held["hop"]), columns.held["source"]) == (2, [0, 2], ["pi0", "pi2"])
