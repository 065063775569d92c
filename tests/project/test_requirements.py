"""The pinned requirements are explained, consistent and complete."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path

import pytest

from tests.project.structure import ROOMS, ROOT, imported_modules, python_files

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)(?P<comment>.*)$")
_OWN = {*ROOMS, "tests", "playbooks", "roles"}


def _pins(name: str) -> dict[str, tuple[str, str]]:
    """Read a requirements file into {normalised name: (version, comment)}."""
    pins = {}
    for line in (ROOT / name).read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        match = _PIN.match(line)
        assert match, f"{name}: not an exact pin: {line!r}"
        pins[re.sub(r"[-_.]+", "-", match["name"]).lower()] = (match["version"], match["comment"])
    return pins


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_each_requirement_is_explained(name: str) -> None:
    assert [package for package, (_, comment) in _pins(name).items() if "# " not in comment] == []


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_constraints_agree_with_requirements(name: str) -> None:
    constraints = _pins("constraints.txt")
    own_build = {"torch", "torchvision"}
    for package, (version, _) in _pins(name).items():
        if package not in own_build:
            assert constraints[package][0] == version, package


def test_devices_run_the_versions_of_the_control_node() -> None:
    control = {package: version for package, (version, _) in _pins("requirements.txt").items()}
    device = {package: version for package, (version, _) in _pins("stage_runtime/requirements.txt").items()}
    assert device
    assert device == {package: control.get(package) for package in device}


def test_what_the_code_imports_is_required() -> None:
    providers = importlib.metadata.packages_distributions()
    required = set(_pins("requirements.txt"))
    missing = set()
    for path in _code_files():
        for name in imported_modules(path):
            top = name.partition(".")[0]
            if top in sys.stdlib_module_names or top in _OWN:
                continue
            packages = {re.sub(r"[-_.]+", "-", package).lower() for package in providers.get(top, [top])}
            if not packages & required:
                missing.add(f"{path.relative_to(ROOT)} imports {top}")
    assert missing == set()


def _code_files() -> list[Path]:
    plugins = sorted((ROOT / "playbooks" / "action_plugins").glob("*.py"))
    return [path for room in ROOMS for path in python_files(room)] + plugins
