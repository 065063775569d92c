"""What a campaign says of the machine that drove it."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from stage_runtime import __version__
from stage_runtime.formats.manifest import WeightsSource

_PACKAGES = ("ansible-core", "ansible-runner", "torch", "torchvision", "msgspec", "safetensors")


def file_digest(path: Path) -> str:
    """Give the sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_text(weights: WeightsSource) -> str:
    """Write where weights came from, for a row: ``seeded:0``, a weights name, ``file:<sha256>``."""
    if weights.kind == "seeded":
        return f"seeded:{weights.seed}"
    if weights.kind == "torchvision":
        return str(weights.name)
    return f"file:{weights.sha256}"


def control_provenance(checkout: Path) -> dict[str, Any]:
    """Describe the control node: versions, machine, and the state of the checkout."""
    return {
        "splitbed": __version__,
        "git": git_state(checkout),
        "packages": {name: _version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def git_state(checkout: Path) -> dict[str, Any]:
    """Give the checkout's commit and whether files differ from it; None where git cannot say."""
    commit = _git(checkout, "rev-parse", "HEAD")
    changes = _git(checkout, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "modified": None if changes is None else bool(changes)}


def _git(checkout: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), *arguments],  # noqa: S607 - the user's own git
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
