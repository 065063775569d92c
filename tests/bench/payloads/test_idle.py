"""Slow start after idle times: both ends on the loopback, the kernel's setting a file."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bench.payloads import idle
from bench.payloads.idle import IdleConfig
from tests.stage_runtime.stage.processes import free_port


def test_both_settings_are_measured_in_turn_and_the_former_one_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = tmp_path / "setting"
    setting.write_text("1\n")
    monkeypatch.setattr(idle, "_SETTING", setting)
    config = IdleConfig(
        address="127.0.0.1",
        port=free_port("127.0.0.1"),
        message_bytes=100_000,
        idle_s=0.0,
        times=4,
        congestion=("no-such-thing", "reno"),
        seed=3,
    )
    serving = threading.Thread(target=idle.serve, args=(config,))
    serving.start()
    found = idle.drive(config)
    serving.join()
    assert [(one.congestion, one.message_bytes) for one in found] == [("reno", 100_000)] * 8
    assert all({found[at].slow_start, found[at + 1].slow_start} == {True, False} for at in range(0, 8, 2))
    assert all(one.ms > 0 for one in found)
    assert setting.read_text() == "1\n"
