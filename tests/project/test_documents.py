"""The documents name only what exists, and define every figure."""

from __future__ import annotations

import importlib.util
import re

import msgspec
import pytest

from stage_runtime.formats.row import HopFigures, LinkDirection, Measurement, Row, StageFigures
from tests.project.structure import ROOT

_README = (ROOT / "README.md").read_text()
_METHODOLOGY = (ROOT / "METHODOLOGY.md").read_text()


def _commands(text: str) -> str:
    """Give what stands in code: fenced blocks and inline code."""
    fenced = re.findall(r"^```.*?\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return "\n".join([*fenced, *re.findall(r"`([^`\n]+)`", text)])


def _section(struct: type[msgspec.Struct]) -> str:
    """Give the part of METHODOLOGY.md under the heading that names a struct."""
    parts = re.split(r"^#+ ", _METHODOLOGY, flags=re.MULTILINE)
    found = [part for part in parts if f"`{struct.__name__}`" in part.partition("\n")[0]]
    assert len(found) == 1, f"METHODOLOGY.md needs one heading with `{struct.__name__}`"
    return found[0]


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


@pytest.mark.parametrize("struct", [Row, Measurement, StageFigures, HopFigures, LinkDirection])
def test_methodology_defines_every_field(struct: type[msgspec.Struct]) -> None:
    defined = set(re.findall(r"^\| `(\w+)` \|", _section(struct), flags=re.MULTILINE))
    assert defined == set(struct.__struct_fields__)
