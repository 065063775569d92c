"""The rooms of the project import each other only as the design allows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.project.structure import ROOMS, ROOT, imported_modules, python_files

_ANSIBLE = ("ansible", "ansible_runner")
_TORCH = ("torch", "torchvision")
_WRITTEN_FORMATS = ("stage_runtime.formats", "stage_runtime.errors")


def _below(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _offences(files: list[Path], forbidden: Callable[[str], bool]) -> list[str]:
    assert files, "no file was read: the rule would hold for nothing"
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for name in imported_modules(path)
        if forbidden(name)
    ]


def test_stage_runtime_knows_no_other_room_but_links() -> None:
    files = python_files("stage_runtime")
    assert _offences(files, lambda name: _below(name, ("sweep", "analysis", "bench", *_ANSIBLE))) == []


def test_links_knows_only_the_written_formats_and_msgspec() -> None:
    def forbidden(name: str) -> bool:
        top = name.partition(".")[0]
        own = top in sys.stdlib_module_names or _below(name, ("links", "msgspec", *_WRITTEN_FORMATS))
        return not own

    assert _offences(python_files("links"), forbidden) == []


def test_analysis_knows_neither_torch_nor_ansible_nor_the_driver() -> None:
    def forbidden(name: str) -> bool:
        if _below(name, ("stage_runtime",)):
            return not _below(name, _WRITTEN_FORMATS)
        return _below(name, (*_TORCH, *_ANSIBLE, "sweep", "links"))

    assert _offences(python_files("analysis"), forbidden) == []


def test_only_the_driver_knows_ansible_runner() -> None:
    files = [path for room in ROOMS if room != "sweep" for path in python_files(room)]
    assert _offences(files, lambda name: _below(name, ("ansible_runner",))) == []


def test_the_driver_does_not_import_torch() -> None:
    assert _offences(python_files("sweep"), lambda name: _below(name, _TORCH)) == []


def test_the_control_command_needs_the_standard_library_alone() -> None:
    control = ROOT / "stage_runtime" / "control.py"
    assert _offences([control], lambda name: name.partition(".")[0] not in sys.stdlib_module_names) == []


@pytest.mark.parametrize(
    "module",
    ["analysis.front", "sweep.driver", "sweep.direct.command", "stage_runtime.formats.row", "links.conditions"],
)
def test_light_modules_load_no_torch_even_indirectly(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
