"""Write and name files so that a reader never meets half of one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def temporary_in(folder: Path) -> Iterator[Path]:
    """Give an empty temporary file in ``folder``, to be written and renamed to its final name there.

    What was not renamed when the block ends is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=folder)
    os.fchmod(handle, 0o644)  # mkstemp makes files that their owner alone may read
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with temporary_in(path.parent) as temporary:
        temporary.write_bytes(content)
        temporary.replace(path)


def sha256_of(path: Path) -> str:
    """Hash a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
