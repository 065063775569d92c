"""The campaigns under docs/ are what the commands make of their journals: nothing is edited by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.campaigns import PACKED_JOURNAL, find_campaigns
from analysis.packing import plan_pack
from analysis.reading import read_journals
from analysis.reproduction.compute import find_profiles, reproduce
from analysis.reproduction.record import write_record
from tests.project.structure import ROOT

SHIPPED = sorted(path.parent for path in (ROOT / "docs").glob(f"*/{PACKED_JOURNAL}"))


@pytest.fixture(params=SHIPPED or [None], ids=lambda folder: folder.name if folder else "none")
def shipped(request: pytest.FixtureRequest) -> Path:
    if request.param is None:
        pytest.skip("no campaign is shipped under docs/ yet")
    folder: Path = request.param
    return folder


def test_the_verdicts_are_those_of_the_journal(shipped: Path) -> None:
    campaigns = find_campaigns([shipped], ROOT / "docs")
    found = reproduce(campaigns, read_journals(campaigns), find_profiles([], campaigns))
    assert json.loads((shipped / "reproduction.json").read_bytes()) == json.loads(write_record(found))


def test_the_page_shows_these_verdicts(shipped: Path) -> None:
    page = (shipped / "reproduction.html").read_text()
    for claim in json.loads((shipped / "reproduction.json").read_bytes())["claims"]:
        assert f'<a href="#{claim["key"]}">' in page
        assert f">{claim['verdict']}</span>" in page


def test_the_report_and_its_tables_are_there(shipped: Path) -> None:
    report = shipped / "report"
    assert (report / "report.html").is_file()
    assert {"points.csv", "fronts.csv"} <= {path.name for path in report.iterdir()}


def test_the_readme_is_the_packs_own_and_nothing_tells_of_a_machine(shipped: Path) -> None:
    (campaign,) = find_campaigns([shipped], ROOT / "docs")
    pack = plan_pack(campaign, samples=True)
    assert pack.files[Path("README.md")] == (shipped / "README.md").read_bytes()
    assert pack.private == ()
