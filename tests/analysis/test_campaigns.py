from __future__ import annotations

import os
from pathlib import Path

import pytest

from analysis.campaigns import find_campaigns, list_campaigns
from analysis.errors import AnalysisError


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for age, name in enumerate(("newest", "middle", "oldest")):
        folder = tmp_path / "results" / name
        folder.mkdir(parents=True)
        (folder / "journal.jsonl").write_text("{}\n")
        os.utime(folder / "journal.jsonl", (1_000_000 - age, 1_000_000 - age))
    (tmp_path / "results" / "no-campaign").mkdir()
    return tmp_path / "results"


def test_no_name_means_the_campaign_written_last(results: Path) -> None:
    assert [campaign.name for campaign in find_campaigns([], results)] == ["newest"]
    assert [campaign.name for campaign in list_campaigns(results)] == ["newest", "middle", "oldest"]


def test_a_name_a_folder_and_a_journal_file_mean_the_same_and_count_once(results: Path) -> None:
    found = find_campaigns(["middle", results / "middle", str(results / "middle" / "journal.jsonl")], results)
    assert [campaign.journal for campaign in found] == [results / "middle" / "journal.jsonl"]


def test_an_unknown_name_is_refused_with_the_known_ones(results: Path) -> None:
    with pytest.raises(AnalysisError, match=r"no-campaign.*campaigns under .*: newest, middle, oldest"):
        find_campaigns(["no-campaign"], results)


def test_an_empty_results_folder_names_the_path_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match=r"no campaign under .*/nothing: run `ansible-playbook sweep.yml"):
        find_campaigns([], tmp_path / "nothing")


def test_a_packed_journal_is_found_like_a_plain_one(results: Path) -> None:
    (results / "middle" / "journal.jsonl").rename(results / "middle" / "journal.jsonl.gz")
    assert [campaign.name for campaign in list_campaigns(results)] == ["newest", "middle", "oldest"]
    (found,) = find_campaigns(["middle"], results)
    assert found.journal == results / "middle" / "journal.jsonl.gz"


def test_a_journal_that_is_still_written_to_counts_before_its_pack(results: Path) -> None:
    (results / "oldest" / "journal.jsonl.gz").write_bytes(b"")
    (found,) = find_campaigns([results / "oldest"], results)
    assert found.journal.name == "journal.jsonl"
