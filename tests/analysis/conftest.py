"""What the analysis' tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.campaigns import find_campaigns
from analysis.compute import Analysis, analyse
from analysis.reading import read_journals
from tests.analysis.coded import make_coded
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


@pytest.fixture(scope="session")
def analysis_of_codecs(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """One campaign with four codecs, two networks and two splits, whose machine is perfectly quiet."""
    plan = Plan(networks=("lan", "paper_200ms_5mbit"), cuts=(3, 8), repeats=2, noise=0.0)
    rows = make_coded(plan, "none", "fp16", "int8", "auto")
    folder = write_campaign(tmp_path_factory.mktemp("codecs") / "codecs", rows)
    campaigns = find_campaigns([folder], folder.parent)
    return analyse(campaigns, read_journals(campaigns))
