"""What the analysis' tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.campaigns import find_campaigns
from analysis.compute import Analysis, analyse
from analysis.journal import read_journals
from tests.analysis.synthetic import Plan, failed, make_rows, write_campaign


@pytest.fixture(scope="session")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One campaign of two networks and a few splits; one run failed for good, one line is torn."""
    rows = make_rows(Plan(networks=("lan", "paper_200ms_5mbit"), cuts=(1, 3, 8, 14, 17)))
    index = next(i for i, row in enumerate(rows) if row.split == "P8" and row.window == 1)
    rows[index] = failed(rows[index], "no answer within 20 s <b>")
    return write_campaign(tmp_path_factory.mktemp("results") / "made-up", rows, tail=b'{"schema"')


@pytest.fixture(scope="session")
def analysis_of_campaign(campaign: Path) -> Analysis:
    campaigns = find_campaigns([campaign], campaign.parent)
    return analyse(campaigns, read_journals(campaigns))


@pytest.fixture(scope="session")
def analysis_of_both(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """One campaign over both transports, two networks and three splits, four repeats."""
    plan = Plan(networks=("paper_200ms_5mbit", "lan"), cuts=(3, 8, 14), repeats=4, transports=("tcp", "rpc"))
    folder = write_campaign(tmp_path_factory.mktemp("both") / "both", make_rows(plan))
    campaigns = find_campaigns([folder], folder.parent)
    return analyse(campaigns, read_journals(campaigns))
