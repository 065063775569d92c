"""A secret is read only where nobody else could have."""

from __future__ import annotations

from pathlib import Path

import pytest

from stage_runtime.errors import SplitbedError
from stage_runtime.private_files import read_secret

SECRET = b"0123456789abcdef"


def test_a_secret_must_be_private_and_long_enough(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    with pytest.raises(SplitbedError, match="No such file"):
        read_secret(file)
    file.write_bytes(SECRET + b"\n")
    file.chmod(0o644)
    with pytest.raises(SplitbedError, match="chmod 600"):
        read_secret(file)
    file.chmod(0o600)
    assert read_secret(file) == SECRET
    file.write_bytes(b"short")
    with pytest.raises(SplitbedError, match="holds 5 bytes"):
        read_secret(file)
