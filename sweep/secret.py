"""The secret that the stages of one invocation know each other by."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_secret(folder: Path) -> Iterator[Path]:
    """Write a new secret into a file of `folder` that only its owner may read, and remove it in the end."""
    path = folder / ".secret"
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(secrets.token_hex(32))
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
