"""The command on two real virtual devices, with small payloads alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.payloads.__main__ import main
from bench.payloads.results import read
from bench.payloads.table import iperf, lines, pings

pytestmark = [pytest.mark.integration, pytest.mark.bench]

WORDS = ["--networks", "lan", "--rounds", "2", "--frame-s", "0.003", "--iperf-s", "1", "--idle", "0"]
OWN = ["--prefix", "sbD", "--subnets", "10.216"]


def test_both_transports_are_measured_beside_their_yardsticks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*WORDS, *OWN, "--out", str(tmp_path)]) == 0, capsys.readouterr().err
    results = read(tmp_path / "payloads.json")
    (link,) = results.links
    assert results.device["tcp"]["slow_start_after_idle"] == "0"
    yardstick = iperf(link)
    assert yardstick is not None
    assert yardstick.value < 1000, "more than the link's rate: it is not shaped"
    found = lines(link)
    assert {line.payload_bytes for line in found} == {4096, 16_384, 65_536, 262_144}
    assert all(line.mbit.value < 1000 for line in found)
    assert {one.over for one in pings(link)} == {"bare", "tcp", "rpc"}
    assert all(one.ms.value > 0.4 for one in pings(link)), "less than the link's own round trip"
    assert {path.name for path in tmp_path.iterdir()} == {"payloads.json", "payloads.md", "payloads.svg"}
    told = capsys.readouterr().out
    assert main(["--again", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == told
