"""``python -m bench.netem``: what it writes from results, and what it says when it cannot measure."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from bench.netem import guest, whole
from bench.netem.__main__ import main
from bench.netem.results import read, write
from bench.netem.table import lines, markdown
from bench.testbed import BenchError
from tests.bench.netem.made import LOSSY, LTE, measured, results


def test_results_survive_their_file(tmp_path: Path) -> None:
    made = results(lte=LTE, lossy=LOSSY)
    write(tmp_path / "deep" / "netem.json", made)
    assert read(tmp_path / "deep" / "netem.json") == made


def test_table_has_a_row_for_every_figure_and_counts_those_that_agree() -> None:
    text = markdown(results(lte=LTE, lossy=LOSSY))
    rows = [line for line in text.splitlines() if line.startswith(("| lte ", "| lossy "))]
    assert len(rows) == 2 * 5 + 2 * 4
    assert "**18 of 18 figures agree.**" in text
    assert "- `lte`: 20 Mbit/s, 25 ms, 5 ms jitter" in text
    assert rows[0].startswith("| lte | a → b | rate | 20 Mbit/s | 20 | 20 | +0.0% | yes |")
    assert "Linux 6.1 " in text


def test_direction_is_held_against_what_it_was_asked_for_itself() -> None:
    uneven = {"forward": {"rate_mbit": 20, "delay_ms": 25}, "backward": {"rate_mbit": 40, "delay_ms": 5}}
    made = results()
    for side, seed in ((made.netem, 1), (made.emulator, 5)):
        side.conditions["uneven"] = (
            measured(uneven["forward"], seed=seed),
            measured(uneven["backward"], seed=seed + 1, source="b"),
        )
    made.asked["uneven"] = uneven
    asked = [(line.direction, line.figure.asked) for line in lines(made) if line.figure.what == "rate"]
    assert asked == [("a → b", "20 Mbit/s"), ("b → a", "40 Mbit/s")]
    assert all(line.figure.agree for line in lines(made))
    assert "20 Mbit/s, 25 ms forward, 40 Mbit/s, 5 ms backward" in markdown(made)


def test_command_writes_the_table_again_and_fails_where_figures_do_not_agree(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = results(lte=LTE)
    write(tmp_path / "netem.json", made)
    document = tmp_path / "netem-document.md"
    assert main(["--again", "--out", str(tmp_path), "--document", str(document)]) == 0
    assert document.read_text().startswith("# netem and the emulator\n")
    assert "**10 of 10 figures agree.**" in document.read_text()

    slow = (measured(LTE, rates_mbit=(10.0,)), made.emulator.conditions["lte"][1])
    made.emulator.conditions["lte"] = slow
    write(tmp_path / "netem.json", made)
    assert main(["--again", "--out", str(tmp_path)]) == 1
    assert "| -50.0% | **no** |" in capsys.readouterr().out


def test_without_results_nothing_can_be_written_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--again", "--out", str(tmp_path)]) == 1
    assert "measure without --again first" in capsys.readouterr().err


def test_machine_without_qemu_or_root_is_told_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(BenchError, match="qemu-system-x86_64 is not installed; as root: apt-get install"):
        whole.measure_both(tmp_path)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "sudo make test-netem" in str(guest.why_not())


def test_every_shipped_condition_is_measured_and_one_that_loses_much() -> None:
    asked = whole.conditions()
    assert {"lan", "wifi", "lte", "congested", "paper_200ms_5mbit", "lossy"} == set(asked)


def test_guest_is_reached_on_the_loopback_address_and_reaches_nothing() -> None:
    words = guest.qemu_words(Path("image"), {"a": 2201, "b": 2202})
    (network,) = [word for word in words if word.startswith("user,")]
    assert network.split(",")[2:] == [
        "restrict=on",
        "hostfwd=tcp:127.0.0.1:2201-10.0.2.21:22",
        "hostfwd=tcp:127.0.0.1:2202-10.0.2.22:22",
    ]
    assert "kvm" not in " ".join(words)


def test_free_ports_differ() -> None:
    ports = guest.free_ports({"a": None, "b": None, "c": None})
    assert len(set(ports.values())) == 3
