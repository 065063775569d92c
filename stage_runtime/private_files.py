"""Read files that a device's user alone may read: the campaign's secret, certificates' keys."""

from __future__ import annotations

import stat
from pathlib import Path

from stage_runtime.errors import SplitbedError

MIN_SECRET_BYTES = 16


def read_secret(path: Path) -> bytes:
    """Read the secret; raises SplitbedError when it is missing, short, or readable by others."""
    secret = read_private(path, "secret file").strip()
    if len(secret) < MIN_SECRET_BYTES:
        raise SplitbedError(f"secret file {path} holds {len(secret)} bytes, at least {MIN_SECRET_BYTES}")
    return secret


def read_private(path: Path, what: str) -> bytes:
    """Read a file that only its owner may read; raises SplitbedError when it is missing, or others may."""
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except OSError as exc:
        raise SplitbedError(f"{what} {path}: {exc.strerror}; the stage_service role writes it") from exc
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SplitbedError(f"{what} {path} is open to others ({stat.filemode(mode)}): chmod 600 {path}")
    return content
