"""Where things lie in the checkout, for the tests of the project itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("stage_runtime", "links", "sweep", "analysis", "bench")


def role_folders() -> list[Path]:
    return sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())


def python_files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imported_modules(path: Path) -> Iterator[str]:
    """Give the dotted name of every module that a file imports, at any depth."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            assert node.module is not None
            # `from links import tc` imports links.tc when tc is a module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
