"""What the stages of one command know each other by: the secret, and where their certificates lie."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stage_runtime.formats.stage_config import TlsFiles
from sweep.errors import CampaignError

TLS_FOLDER = ".tls"
AUTHORITY = "authority.pem"
_FILE = ".secret"


@contextmanager
def new_secret(folder: Path) -> Iterator[Path]:
    """Write a new secret into a file of `folder` that only its owner may read, and remove it in the end.

    Raises CampaignError where the disk refuses.
    """
    path = folder / _FILE
    path.unlink(missing_ok=True)
    try:
        try:
            write_private(path, secrets.token_hex(32).encode())
        except OSError as exc:
            raise CampaignError(f"{path}: cannot write ({exc}); free some space and run again") from exc
        yield path
    finally:
        path.unlink(missing_ok=True)


def write_private(path: Path, content: bytes) -> None:
    """Write a new file that only its owner may read, from its first moment on; raises OSError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)


def remove_secrets(folder: Path) -> None:
    """Remove what a command that was killed left of its secret and its certificates in a campaign's `folder`."""
    (folder / _FILE).unlink(missing_ok=True)
    shutil.rmtree(folder / TLS_FOLDER, ignore_errors=True)


def certificates_beside(secret_file: Path) -> Path:
    """Name the folder in which a command's certificates lie, which is where its secret does."""
    return secret_file.with_name(TLS_FOLDER)


def tls_files(folder: Path, device: str) -> TlsFiles:
    """Name a device's files in a folder of certificates."""
    return TlsFiles(
        authority=str(folder / AUTHORITY),
        certificate=str(folder / f"{device}.certificate"),
        key=str(folder / f"{device}.key"),
    )
