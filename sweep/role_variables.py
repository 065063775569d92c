"""The public variables of the roles, so that a misspelt extra var can be told from a real one."""

from __future__ import annotations

from pathlib import Path

import yaml


def role_variables(roles: Path) -> frozenset[str]:
    """Collect the names in every role's defaults."""
    names: set[str] = set()
    for defaults in roles.glob("*/defaults/main.yml"):
        content = yaml.safe_load(defaults.read_text())
        names.update(content or {})
    return frozenset(names)
