"""What a campaign says of the machine that drove it."""

from __future__ import annotations

import hashlib
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

from stage_runtime import __version__
from stage_runtime.formats.manifest import WeightsSource

# the folders of an absolute path, or of one under a home, at the start of a text or behind `=` or a separator
_FOLDERS = re.compile(r"(?:(?<=[=,:\s'\"])|^)(?:~[\w.-]*)?/(?:[^\s,'\"/]+/)*(?=[^\s,'\"/])")
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


def without_folders(content: object) -> Any:
    """Return `content` as plain JSON, absolute paths in its texts shortened to their last part.

    A campaign's record may be published: where its user keeps things is nobody's business, and what a file
    held stands in its hash (``weights``, ``inputs_id``).
    """
    return _shorten(msgspec.to_builtins(content))


def _shorten(value: Any) -> Any:
    if isinstance(value, str):
        return _FOLDERS.sub("", value)
    if isinstance(value, dict):
        return {key: _shorten(inner) for key, inner in value.items()}
    return [_shorten(inner) for inner in value] if isinstance(value, list | tuple) else value


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
