"""Both ends of a measurement, as two processes on this machine's loopback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.payloads.plan import ECHO_BYTES, EndConfig, Size
from bench.payloads.results import Round
from bench.testbed import last_json
from stage_runtime.formats.cell import TransportName
from tests.project.structure import ROOT
from tests.stage_runtime.stage.processes import free_port

SIZES = (Size(payload_bytes=4096, frames=8), Size(payload_bytes=700_000, frames=5))


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return private(tmp_path / "secret", "0123456789abcdef")


def private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def config(secret: Path, **different: Any) -> EndConfig:
    given = {
        "caller": "127.0.0.1",
        "called": "127.0.0.1",
        "port": free_port("127.0.0.1"),
        "secret_file": str(secret),
        "world": "test",
        "transports": ("tcp",),
        "sizes": SIZES,
        "rounds": 2,
        "seed": 1,
        "link_mbit": 1000.0,
        "link_rtt_ms": 0.4,
        "echoes": 20,
    }
    return EndConfig(**given | different)


def run(caller: EndConfig, called: EndConfig) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "bench.payloads.end"]
    serving = subprocess.Popen([*words, "serve", msgspec.json.encode(called).decode()], cwd=ROOT)
    try:
        told = msgspec.json.encode(caller).decode()
        return subprocess.run(
            [*words, "drive", told], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
        )
    finally:
        serving.kill()
        serving.wait()


@pytest.mark.parametrize("transports", [("tcp",), ("tcp", "rpc")])
def test_a_round_measures_every_payload_over_every_transport(
    transports: tuple[TransportName, ...], secret: Path
) -> None:
    told = config(secret, transports=transports, world_port=free_port("127.0.0.1"))
    done = run(told, told)
    assert done.returncode == 0, done.stderr
    rounds = msgspec.convert(last_json(done.stdout), tuple[Round, ...])
    assert len(rounds) == 2
    for taken in rounds:
        expected = {(transport, size.payload_bytes, size.frames) for transport in transports for size in SIZES}
        assert {(one.transport, one.payload_bytes, one.frames) for one in taken.goodputs} == expected
        assert all(one.mbit > 0 for one in taken.goodputs)
        assert [one.over for one in taken.round_trips] == ["bare", *transports]
        assert {(one.payload_bytes, one.count) for one in taken.round_trips} == {(ECHO_BYTES, 20)}
        assert all(one.ms > 0 for one in taken.round_trips)
        assert taken.iperf_mbit == ()


def test_a_stranger_is_served_nothing(secret: Path, tmp_path: Path) -> None:
    called = config(secret)
    other = private(tmp_path / "other", "fedcba9876543210")
    done = run(msgspec.structs.replace(called, secret_file=str(other)), called)
    assert done.returncode == 1
    assert "refused this stage's secret" in done.stderr
