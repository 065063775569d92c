"""The benchmarks' testbed, as far as it needs no device."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.testbed import BenchError, finish, last_json, write_inventory


def test_devices_have_the_addresses_of_their_places(tmp_path: Path) -> None:
    bed = write_inventory(tmp_path, prefix="sbD", networks="10.216", devices={"a": {}, "b": {}})
    assert [bed.data_address(name) for name in bed.names] == ["10.216.1.11", "10.216.1.12"]


def test_an_answer_is_the_last_line_printed() -> None:
    assert last_json('a banner\n{"rounds": 3}\n') == {"rounds": 3}
    with pytest.raises(BenchError, match="said: no such file"):
        last_json("no such file")


def test_a_command_that_fails_is_named_with_what_it_said() -> None:
    words = [sys.executable, "-c", "print('no room'); raise SystemExit(3)"]
    with (
        subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process,
        pytest.raises(BenchError, match=r"(?s)b: ending ended with 3.*no room"),
    ):
        finish(process, "b: ending", 60)
