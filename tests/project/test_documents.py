"""The documents name only what exists, and define every figure."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import msgspec
import pytest

from analysis.campaigns import find_campaigns
from analysis.compute import analyse
from analysis.figures.draw import MOST_FIGURES
from analysis.profiles.costs import find_costs
from analysis.profiles.tables import blocks_frame
from analysis.reading import read_journals
from analysis.tables import make_tables
from stage_runtime.formats.profile import BlockProfile, BlockTimes, ModelProfile, ModelTimes
from stage_runtime.formats.row import HopFigures, LinkDirection, Measurement, Row, StageFigures
from stage_runtime.formats.samples import COLUMNS
from sweep.options import Options
from tests.analysis.profiles.conftest import make_profile
from tests.analysis.synthetic import Plan, make_rows, write_campaign
from tests.project.structure import ROOT

_README = (ROOT / "README.md").read_text()
_METHODOLOGY = (ROOT / "METHODOLOGY.md").read_text()


def _commands(text: str) -> str:
    """Give what stands in code: fenced blocks and inline code."""
    fenced = re.findall(r"^```.*?\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return "\n".join([*fenced, *re.findall(r"`([^`\n]+)`", text)])


def _defined_under(name: str) -> list[str]:
    """Give the names defined in the table of METHODOLOGY.md under the heading that has `name`."""
    parts = re.split(r"^#+ ", _METHODOLOGY, flags=re.MULTILINE)
    found = [part for part in parts if f"`{name}`" in part.partition("\n")[0]]
    assert len(found) == 1, f"METHODOLOGY.md needs one heading with `{name}`"
    cells = re.findall(r"^\| (`[^|]*`) \| \S", found[0], flags=re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


def test_readme_names_existing_make_targets() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", _commands(_README)))
    assert {"demo", "test"} <= named
    assert named <= targets


def test_readme_names_existing_modules() -> None:
    named = set(re.findall(r"python3? -m ([a-z_.]+)", _commands(_README)))
    assert "analysis.front" in named
    assert [name for name in named if importlib.util.find_spec(name) is None] == []


def test_readme_names_existing_files() -> None:
    linked = set(re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", _README))
    played = set(re.findall(r"ansible-playbook (\S+\.yml)", _commands(_README)))
    assert "sweep.yml" in played
    assert [path for path in sorted(linked | played) if not (ROOT / path).exists()] == []


def test_readme_lists_every_option_of_a_sweep() -> None:
    rows = re.findall(r"^\| (`.*?`) \|", _README, flags=re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    in_the_text = {"dry_run", "fresh", "retry_failed"}
    assert set(Options.__struct_fields__) - in_the_text <= listed
    assert all(f"{name}=true" in _README for name in in_the_text)


@pytest.mark.parametrize(
    "struct",
    [Row, Measurement, StageFigures, HopFigures, LinkDirection, ModelProfile, ModelTimes, BlockProfile, BlockTimes],
)
def test_methodology_defines_every_field(struct: type[msgspec.Struct]) -> None:
    assert sorted(_defined_under(struct.__name__)) == sorted(struct.__struct_fields__)


def test_methodology_defines_every_column_of_the_samples() -> None:
    assert _defined_under("samples") == list(COLUMNS)


def test_methodology_defines_every_column_of_the_profiles_table() -> None:
    columns = blocks_frame(find_costs([make_profile("pi1")])).columns
    assert _defined_under("blocks") == list(columns)


def test_methodology_defines_every_column_of_the_tables(tmp_path: Path) -> None:
    plan = Plan(networks=("lan", "wifi"), cuts=(3,), repeats=1, transports=("tcp", "rpc"))
    campaign = write_campaign(tmp_path / "made-up", make_rows(plan))
    campaigns = find_campaigns([campaign], tmp_path)
    tables = make_tables(analyse(campaigns, read_journals(campaigns)))
    assert set(tables) > {"points", "fronts", "recommendations", "moves", "attainment", "transports"}
    for name, table in tables.items():
        if name not in {"runs", "stages", "links"}:  # these are of the structs' own columns
            assert sorted(_defined_under(name)) == sorted(table.columns), name


def test_methodology_says_how_many_figures_are_drawn() -> None:
    assert f"At most {MOST_FIGURES} figures are drawn" in _METHODOLOGY


def test_the_table_of_faults_cites_tests_that_are_there_by_numbers_given_once() -> None:
    text = (ROOT / "docs" / "faults.md").read_text()
    rows = "".join(line for line in text.splitlines() if line.startswith("|"))
    cited = {
        int(number) for found in re.findall(r"\((\d+●?(?:, \d+●?)*)\)", rows) for number in re.findall(r"\d+", found)
    }
    given = [int(number) for number in re.findall(r"\((\d+)\) `test", text)]
    assert sorted(given) == sorted(cited)
    assert [path for path in re.findall(r"`(tests/\S+\.py)`", text) if not (ROOT / path).exists()] == []
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name in re.findall(r"`(test_\w+)`", text) if f"def {name}(" not in tests] == []
