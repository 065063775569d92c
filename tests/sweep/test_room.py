"""A disk without room is refused before anything is lost on it."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweep.errors import CampaignError
from sweep.room import refuse_full_disk


@pytest.mark.parametrize("mebibytes", [0, 1, 3])
@pytest.mark.parametrize("root", [True, False])
def test_a_full_disk_is_named_with_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mebibytes: int, root: bool
) -> None:
    reserved = 100 if not root else 0
    found = SimpleNamespace(f_frsize=2**20, f_bfree=mebibytes + reserved, f_bavail=mebibytes)
    monkeypatch.setattr(os, "statvfs", lambda _folder: found)
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
    with pytest.raises(
        CampaignError, match=rf"{tmp_path}: its disk is full \({mebibytes}\.0 MiB left.*free some space"
    ):
        refuse_full_disk(tmp_path)


def test_a_disk_with_room_is_not(tmp_path: Path) -> None:
    refuse_full_disk(tmp_path)
