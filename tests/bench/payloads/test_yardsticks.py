"""The yardsticks: iperf3 that listens late, and what it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.payloads import yardsticks
from bench.testbed import BenchError

_REFUSED = '{"end": {}, "error": "unable to connect to server: Connection refused"}'
_MEASURED = '{"end": {"sum_received": {"bits_per_second": 941e6}}}'


def stand_in(folder: Path, *answers: tuple[str, int]) -> str:
    """Write a program that gives these answers one after the other, the last of them for good."""
    for number, (said, _) in enumerate(answers):
        (folder / f"said{number}").write_text(said)
    statuses = " ".join(str(status) for _, status in answers)
    program = folder / "iperf3"
    program.write_text(
        f"#!/bin/bash\nstatuses=({statuses})\nn=$(cat {folder}/count 2>/dev/null || echo 0)\n"
        f"cat {folder}/said$n\n((n + 1 < {len(answers)})) && echo $((n + 1)) > {folder}/count\nexit ${{statuses[$n]}}\n"
    )
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize("status", [0, 1])
def test_a_server_that_listens_late_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    program = stand_in(tmp_path, (_REFUSED, status), (_REFUSED, status), (_MEASURED, 0))
    monkeypatch.setattr(yardsticks, "_iperf", lambda: program)
    assert yardsticks.measure_iperf("127.0.0.1", 1, 1.0) == 941


def test_one_that_never_listens_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yardsticks, "_iperf", lambda: stand_in(tmp_path, (_REFUSED, 0)))
    monkeypatch.setattr(yardsticks, "_TRY_FOR_S", 0.3)
    with pytest.raises(BenchError, match="Connection refused"):
        yardsticks.measure_iperf("127.0.0.1", 1, 1.0)


def test_another_failure_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = stand_in(tmp_path, ('{"error": "no route"}', 1), (_MEASURED, 0))
    monkeypatch.setattr(yardsticks, "_iperf", lambda: program)
    with pytest.raises(BenchError, match=r"ended with 1: .*no route"):
        yardsticks.measure_iperf("127.0.0.1", 1, 1.0)
