"""The command between two real processes, with fewer bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.tls import measuring
from bench.tls.__main__ import main
from bench.tls.measuring import Found, Rate, Times
from bench.tls.table import markdown


def test_both_ways_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "_LEAST_BYTES", 2**20)
    document = tmp_path / "security.md"
    document.write_text("# Security\n\nText.\n")
    assert main(["--rounds", "1", "--document", str(document)]) == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    assert "TLS agreed on TLSv1.3 TLS_" in told
    assert told.count("\n| ") == 2 * len(measuring.SIZES) + 2 + 1
    assert told.strip() in document.read_text()
    assert document.read_text().startswith("# Security\n\nText.\n")


def test_the_table_gives_medians_and_their_ratio() -> None:
    rates = [
        Rate(how=how, payload_bytes=65_536, mbit=mbit, cpu_ms_per_mb=cpu)
        for how, mbit, cpu in (("clear", 900, 1.0), ("clear", 1000, 1.2), ("clear", 1100, 9.0), ("tls", 500, 2.4))
    ]
    times = [Times(how=how, echo_ms=(ms, ms), connect_ms=(10 * ms,)) for how, ms in (("clear", 0.1), ("tls", 0.15))]
    text = markdown(Found(protection="TLSv1.3 A", rates=tuple(rates), times=tuple(times)), "command")
    assert "| 64 KiB frames, Mbit/s | 1000 | 500 | 0.50 |" in text
    assert "| 64 KiB frames, processor ms per MB, both ends | 1.20 | 2.40 | 2.00 |" in text
    assert "| 4 KiB there and back, ms | 0.100 | 0.150 | 1.50 |" in text
    assert "| a connection made, ms | 1.00 | 1.50 | 1.50 |" in text
