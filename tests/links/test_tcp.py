"""What is switched in the kernel's TCP while links are shaped, on a file in the kernel's stead."""

from __future__ import annotations

from pathlib import Path

import pytest

from links import tcp


@pytest.mark.parametrize(("before", "noted"), [("1", "1"), ("0", None)])
def test_slow_start_after_idle_is_off_while_shaped_and_comes_back(
    tmp_path: Path, before: str, noted: str | None
) -> None:
    setting = tmp_path / "setting"
    setting.write_text(f"{before}\n")
    found = tcp.to_put_back(setting)
    assert found == noted
    tcp.keep_windows(setting)
    assert setting.read_text() == "0\n"
    tcp.put_back(found, setting)
    assert setting.read_text() == f"{before}\n"


def test_where_there_is_no_such_setting_nothing_happens(tmp_path: Path) -> None:
    absent = tmp_path / "none" / "setting"
    assert tcp.to_put_back(absent) is None
    tcp.keep_windows(absent)
    tcp.put_back("1", absent)
    assert not absent.parent.exists()
