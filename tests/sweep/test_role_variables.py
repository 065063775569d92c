"""Role variables: what an extra var may be beside an option."""

from __future__ import annotations

from pathlib import Path

from sweep.role_variables import role_variables


def test_names_are_collected_from_every_roles_defaults(tmp_path: Path) -> None:
    for role, content in (("one", "---\none_a: 1\none_b: {c: 2}\n"), ("two", "---\n"), ("three", "three_a: []\n")):
        (tmp_path / role / "defaults").mkdir(parents=True)
        (tmp_path / role / "defaults" / "main.yml").write_text(content)
    (tmp_path / "four" / "tasks").mkdir(parents=True)
    assert role_variables(tmp_path) == {"one_a", "one_b", "three_a"}


def test_no_roles_have_no_variables(tmp_path: Path) -> None:
    assert role_variables(tmp_path / "none") == frozenset()


def test_the_shipped_roles_have_some_and_each_begins_with_its_role() -> None:
    roles = Path(__file__).parents[2] / "roles"
    found = role_variables(roles)
    assert "pi_venv_torch_index_url" in found
    names = tuple(f"{role.name}_" for role in roles.iterdir())
    assert [name for name in found if not name.startswith(names)] == []
