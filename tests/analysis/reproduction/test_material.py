from __future__ import annotations

import msgspec
import pandas as pd
import pytest

from analysis.errors import AnalysisError
from analysis.frame import runs_frame
from analysis.journal import Journal
from analysis.networks import order_networks
from analysis.reproduction.material import prepare
from analysis.reproduction.work import block_count, block_passes, first_device_times, work_shares
from tests.analysis.journals import gather, rows_of
from tests.analysis.reproduction.made import FAST, SLOW, Link, Made, journal, make_rows, material


def frame(*journals: Journal) -> pd.DataFrame:
    return runs_frame(gather(row for one in journals for row in rows_of(one)))


def test_the_batch_size_nearest_to_the_published_one_counts() -> None:
    found = prepare(frame(*(journal(Made(batch=batch)) for batch in (1, 16, 64))))
    assert found.batch == 16
    assert set(found.runs["batch"]) == {16}
    assert "are not comparable" in found.left_out[0]


def test_other_models_chains_and_granularities_are_left_out() -> None:
    rows = list(make_rows(Made(models=("resnet18",))))
    strange = [
        msgspec.structs.replace(rows[0], **change)
        for change in ({"model": "densenet"}, {"chain": "other"}, {"granularity": "all"}, {"engine": "onnxruntime"})
    ]
    found = prepare(runs_frame(gather([*rows, *strange])))
    assert len(found.runs) == len(rows)
    assert found.left_out[0].startswith("4 of ")


def test_nothing_comparable_is_refused_with_a_command() -> None:
    with pytest.raises(AnalysisError, match=r"nothing can be laid beside the paper. Run `ansible-playbook sweep.yml"):
        prepare(frame(journal(Made(speeds={"pi_pi_gpu": (1.0, 1.0)}))))


def test_networks_are_ordered_by_the_time_of_a_megabyte() -> None:
    made = Made(networks={"bad": SLOW, "lan": FAST, "wifi": Link(50.0, 3.0), "free": Link(0.0, 0.0)})
    found = order_networks(frame(journal(made)))
    assert [quality.network for quality in found] == ["free", "lan", "wifi", "bad"]
    assert found[-1].carry_ms == pytest.approx(200 + 1600 / 0.955)


def test_work_shares_are_of_the_unsplit_model_on_the_first_device() -> None:
    found = material(Made(models=("resnet18",), noise=0.0))
    assert found.shares["resnet18", "pi_to_pi"][1,] == pytest.approx(30 / 145)
    assert found.shares["resnet18", "pi_to_gpu"] == pytest.approx(found.shares["resnet18", "pi_to_pi"])


def test_without_the_unsplit_model_there_are_no_shares() -> None:
    assert work_shares({(1,): [10.0]}) == {}


def test_block_times_are_differences_between_neighbouring_splits() -> None:
    made = Made(models=("resnet18",), speeds={"pi_to_pi": (1.0, 1.0)}, noise=0.0, blocks_ms=(30.0, 25.0, 20.0))
    runs = frame(journal(made))
    found = block_passes(first_device_times(runs), block_count(runs))
    assert found.shape == (6, 3)
    assert found[0] == pytest.approx([30.0, 25.0, 20.0])


def test_a_missing_split_leaves_no_passes() -> None:
    runs = frame(journal(Made(models=("resnet18",), splits=("P1", "P3"))))
    assert block_passes(first_device_times(runs), block_count(runs)).size == 0
