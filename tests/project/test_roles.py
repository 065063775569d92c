"""Every role's argument specification says what its defaults say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.project.structure import ROOT, role_folders

_ROLES = [pytest.param(path, id=path.name) for path in role_folders()]


class _Loader(yaml.SafeLoader):
    """Reads Ansible's own tags as the text they stand for."""


for _tag in ("!unsafe", "!vault"):
    _Loader.add_constructor(_tag, lambda loader, node: loader.construct_scalar(node))


def _load(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    return yaml.load(path.read_text(), _Loader) or {}  # noqa: S506  (a SafeLoader)


def _options(role: Path) -> dict[str, dict[str, Any]]:
    """Merge the options of all of a role's entry points."""
    merged: dict[str, dict[str, Any]] = {}
    for entry in _load(role / "meta" / "argument_specs.yml").get("argument_specs", {}).values():
        for name, option in (entry.get("options") or {}).items():
            known = merged.setdefault(name, option)
            assert known.get("default") == option.get("default"), (
                f"{role.name}: {name} has two defaults, {known.get('default')} and {option.get('default')}"
            )
    return merged


def _inventory_names() -> set[str]:
    """Collect the variables that the inventory gives to all hosts."""
    return {name for path in (ROOT / "inventory" / "group_vars" / "all").glob("*.yml") for name in _load(path)}


def test_there_are_roles() -> None:
    assert _ROLES, "roles/ holds no role"


@pytest.mark.parametrize("role", _ROLES)
def test_role_has_argument_specs(role: Path) -> None:
    specs = _load(role / "meta" / "argument_specs.yml").get("argument_specs", {})
    entries = {path.stem for path in (role / "tasks").glob("*.yml")}
    assert "main" in specs
    assert set(specs) <= entries, "an entry point without a task file"
    assert all(entry.get("short_description") for entry in specs.values())


@pytest.mark.parametrize("role", _ROLES)
def test_defaults_and_argument_specs_have_the_same_values(role: Path) -> None:
    defaults = _load(role / "defaults" / "main.yml")
    specified = {name: option["default"] for name, option in _options(role).items() if "default" in option}
    assert specified == defaults


@pytest.mark.parametrize("role", _ROLES)
def test_option_without_default_is_required_or_explicitly_optional(role: Path) -> None:
    unclear = [name for name, option in _options(role).items() if "default" not in option and "required" not in option]
    assert unclear == []


@pytest.mark.parametrize("role", _ROLES)
def test_variables_carry_the_role_name(role: Path) -> None:
    # what the inventory says of a device may be asked for as it is, but then has no default here
    asked = {name for name, option in _options(role).items() if "default" not in option} & _inventory_names()
    public = {*_load(role / "defaults" / "main.yml"), *_options(role)} - asked
    constants = _load(role / "vars" / "main.yml")
    assert [name for name in public if not name.startswith(f"{role.name}_")] == []
    assert [name for name in constants if not name.startswith(f"_{role.name}_")] == []


def test_roles_that_plays_name_exist() -> None:
    known = {role.name for role in role_folders()}
    named: set[str] = set()
    for play_file in (ROOT / "playbooks").glob("*.yml"):
        named |= set(_roles_in(yaml.load(play_file.read_text(), _Loader)))  # noqa: S506  (a SafeLoader)
    assert named, "no play uses a role"
    assert named <= known


def _roles_in(node: Any) -> list[str]:
    """Collect the literal role names of `roles:`, `include_role` and `import_role` below a node."""
    if isinstance(node, list):
        return [name for item in node for name in _roles_in(item)]
    if not isinstance(node, dict):
        return []
    found = []
    for key, value in node.items():
        if key.endswith(("include_role", "import_role")) and isinstance(value, dict):
            found.append(value["name"])
        elif key == "roles" and isinstance(value, list):
            found += [item if isinstance(item, str) else item["role"] for item in value]
        found += _roles_in(value)
    return [name for name in found if "{{" not in name]
