"""The role stage_runtime copies the packages that run on a device, whole and only when they changed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.roles.local_hosts import PROJECT, LocalHosts

PACKER = PROJECT / "roles" / "stage_runtime" / "files" / "pack_runtime.py"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a checkout with two packages."""
    root = tmp_path / "checkout"
    for package in ("one", "two"):
        (root / package / "deep").mkdir(parents=True)
        (root / package / "__init__.py").write_text(f"# {package}\n")
        (root / package / "deep" / "data.txt").write_text("data")
        (root / package / "__pycache__").mkdir()
        (root / package / "__pycache__" / "x.pyc").write_text("cached")
    return root


@pytest.fixture
def hosts(tmp_path: Path, checkout: Path) -> LocalHosts:
    """Make a device that gets both packages."""
    return LocalHosts(tmp_path, stage_runtime_checkout=str(checkout), stage_runtime_packages=["one", "two"])


def _held(hosts: LocalHosts) -> set[str]:
    runtime = hosts.home() / "runtime"
    return {str(path.relative_to(runtime)) for path in runtime.rglob("*") if path.is_file()}


def _digest(checkout: Path, *paths: str) -> str:
    words = [sys.executable, str(PACKER), "digest", "--root", str(checkout), *paths]
    return str(json.loads(subprocess.run(words, check=True, capture_output=True).stdout)["digest"])


def test_the_runtime_is_copied_once_and_replaced_whole(hosts: LocalHosts, checkout: Path) -> None:
    checked = hosts.role("stage_runtime", check_mode=True)
    assert checked.status == 0, checked.output
    assert checked.changed["d1"] > 0
    assert not hosts.home().exists()

    copied = hosts.role("stage_runtime")
    assert copied.status == 0, copied.output
    files = {f"{package}/{name}" for package in ("one", "two") for name in ("__init__.py", "deep/data.txt")}
    assert _held(hosts) == files | {".digest", ".sums"}
    again = hosts.role("stage_runtime")
    assert again.changed == {"d1": 0}
    assert not again.task_ran("Unpack the runtime")

    (checkout / "one" / "deep" / "data.txt").unlink()
    (checkout / "two" / "__init__.py").write_text("# changed\n")
    changed = hosts.role("stage_runtime")
    assert changed.status == 0, changed.output
    assert _held(hosts) == (files | {".digest", ".sums"}) - {"one/deep/data.txt"}
    assert (hosts.home() / "runtime" / "two" / "__init__.py").read_text() == "# changed\n"


def test_an_altered_runtime_is_replaced(tmp_path: Path, checkout: Path) -> None:
    several = LocalHosts(
        tmp_path, ("d1", "d2", "d3"), stage_runtime_checkout=str(checkout), stage_runtime_packages=["one", "two"]
    )
    assert several.role("stage_runtime").status == 0
    held = {name: several.home(name) / "runtime" / "one" / "deep" / "data.txt" for name in ("d1", "d2", "d3")}
    held["d1"].write_text("DATA")
    held["d2"].write_text("dat")
    held["d3"].unlink()
    changed = several.role("stage_runtime").changed
    for name, data in held.items():
        assert changed[name] > 0
        assert data.read_text() == "data"


def test_a_package_that_does_not_exist_is_named(hosts: LocalHosts, checkout: Path) -> None:
    refused = hosts.role("stage_runtime", stage_runtime_packages=["one", "three"])
    assert refused.status != 0
    assert f"{checkout}/three does not exist, so it cannot go to the devices" in refused.message


@pytest.mark.parametrize("path", ["/runtime"])
def test_a_folder_that_may_hold_other_things_is_not_replaced(hosts: LocalHosts, path: str) -> None:
    refused = hosts.role("stage_runtime", stage_runtime_path=path)
    assert refused.status != 0
    assert f'd1: stage_runtime_path is "{path}"' in refused.message


def test_the_digest_knows_names_and_contents_but_not_caches(checkout: Path) -> None:
    before = _digest(checkout, "one", "two")
    (checkout / "one" / "__pycache__" / "x.pyc").write_text("other")
    assert _digest(checkout, "two", "one") == before
    assert _digest(checkout, "one") != before
    (checkout / "one" / "__init__.py").rename(checkout / "one" / "renamed.py")
    renamed = _digest(checkout, "one", "two")
    assert renamed != before
    (checkout / "one" / "renamed.py").write_text("# other\n")
    assert _digest(checkout, "one", "two") not in {before, renamed}
