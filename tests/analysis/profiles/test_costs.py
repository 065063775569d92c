"""What profiles come to, against figures worked out by hand."""

from __future__ import annotations

import pytest

from analysis.profiles.costs import ModelCosts, find_costs
from tests.analysis.profiles.conftest import make_profile


def test_a_blocks_time_is_the_mean_of_its_passes_and_the_means_add_up(model: ModelCosts) -> None:
    gpu = model.costs[0]
    assert (gpu.device, gpu.batch, gpu.passes) == ("gpu1", 1, 2)
    assert [block.ms for block in gpu.blocks] == [4.0, 10.0, 1.0, 2.0, 1.0]
    assert gpu.blocks_ms == 18.0
    assert gpu.whole_ms == 18.0
    assert [round(block.share, 4) for block in gpu.blocks] == [0.2222, 0.5556, 0.0556, 0.1111, 0.0556]
    assert gpu.blocks[3].ms_sd == pytest.approx(8**0.5)


def test_what_the_marks_cost_is_by_how_much_marked_passes_take_longer(model: ModelCosts) -> None:
    assert [round(one.marks_percent, 6) for one in model.costs] == [0.0, 0.0, 1.0, 1.0]


def test_peak_memory_is_the_greatest_of_all_blocks(model: ModelCosts) -> None:
    assert [one.peak_bytes for one in model.costs] == [4000 * 1024, 8 * 4000 * 1024] * 2


def test_a_split_point_has_the_time_before_it_and_the_bytes_across_it(model: ModelCosts) -> None:
    assert [split.label for split in model.splits] == ["P1", "P2", "P3", "P4"]
    assert [split.bytes_per_sample // 1024 for split in model.splits] == [1600, 300, 300, 30]
    for device in ("gpu1", "pi1"):
        shares = [split.share_before[device] for split in model.splits]
        assert shares == pytest.approx([4 / 18, 14 / 18, 15 / 18, 17 / 18])


def test_only_points_that_send_less_than_all_before_them_and_the_input_are_marked(model: ModelCosts) -> None:
    assert [split.fewer for split in model.splits] == [False, True, False, True]


def test_devices_may_have_been_profiled_at_other_batch_sizes() -> None:
    model = find_costs([make_profile("a", batches=(4,)), make_profile("b", batches=(1,))])
    assert model.batches == (1, 4)
    assert [one.device for one in model.of_batch(4)] == ["a"]
    assert set(model.splits[0].share_before) == {"a", "b"}


def test_every_devices_warnings_are_handed_on(model: ModelCosts) -> None:
    assert model.warnings == ("pi1 was slow",)
