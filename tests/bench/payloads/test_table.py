"""From rounds to ratios, sentences and a picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.figures import style
from bench.payloads import table
from bench.payloads.figure import draw
from bench.payloads.results import IdleTime, read, write
from bench.testbed import BenchError
from tests.bench.payloads.made import KIB, MIB, SHARES, a_link, a_round, results


def test_a_share_is_of_the_same_rounds_iperf() -> None:
    found = {(line.transport, line.payload_bytes): line for line in table.lines(a_link())}
    assert list(found) == [(transport, size) for transport in ("tcp", "rpc") for size in SHARES]
    line = found["tcp", 256 * KIB]
    assert line.mbit.value == pytest.approx(950 * 0.97)
    assert line.share is not None
    assert line.share.value == pytest.approx(0.97)
    assert line.share.low < 0.97 < line.share.high
    half = found["rpc", 256 * KIB].share
    assert half is not None
    assert half.value == pytest.approx(0.97 / 2)


def test_a_round_trip_is_over_the_same_rounds_bare_one() -> None:
    found = {one.over: one for one in table.pings(a_link())}
    assert found["tcp"].times.value == pytest.approx(1.2)
    assert found["rpc"].times.value == pytest.approx(4.0)
    assert found["bare"].ms.value == pytest.approx(1.01)


def test_the_least_share_is_that_of_a_large_payload() -> None:
    least = table.least_share(a_link())
    assert least is not None
    assert (least.transport, least.payload_bytes) == ("tcp", 256 * KIB)


@pytest.mark.parametrize(
    ("factor", "said"),
    [(1.0, "reaches in the median the target of 0.95"), (0.9, "misses the target of 0.95"), (1.015, "whole interval")],
)
def test_the_verdict_follows_the_figures(monkeypatch: pytest.MonkeyPatch, factor: float, said: str) -> None:
    monkeypatch.setitem(SHARES, 256 * KIB, tuple(share * factor for share in (0.97, 0.96, 0.98)))
    text = table.markdown(results(a_link()))
    assert said in text
    assert "256 KB came nearest" in text


def test_the_table_has_a_row_per_payload_and_says_what_was_left_out() -> None:
    text = table.markdown(results(a_link(left_out=(64 * MIB,))))
    assert [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| 4 KB |")] == ["4 KB"]
    assert "| 64 MB |" in text
    assert "takes too long on this link: 64 MB" in text
    assert "1000 Mbit/s, 0.2 ms each way" in text


def test_the_overview_names_the_worst_of_all_links(monkeypatch: pytest.MonkeyPatch) -> None:
    good = a_link()
    monkeypatch.setitem(SHARES, 64 * MIB, (0.9, 0.9, 0.9))
    said = table.overview(results(good, a_link(network="mbit5")))
    assert "least share of iperf3's rate is 0.90 (64 MB under `mbit5`)" in said
    assert "at most 1.20 times" in said
    assert "congestion control cubic, slow start after idle times off" in said


def test_without_iperf_there_is_no_share_and_no_verdict() -> None:
    link = a_link(rounds=tuple(a_round(number, ()) for number in range(3)))
    assert all(line.share is None for line in table.lines(link))
    text = table.markdown(results(link))
    assert "Without iperf3." in text
    assert "iperf3's rate" not in text


def test_idle_times_are_compared_for_each_congestion_control() -> None:
    idle = tuple(
        IdleTime(congestion=name, slow_start=slow, message_bytes=250_880, idle_s=3.0, ms=ms + number)
        for name, with_it, without in (("cubic", 2600.0, 1000.0), ("bbr", 1100.0, 1100.0))
        for slow, ms in ((True, with_it), (False, without))
        for number in range(3)
    )
    text = table.markdown(results(a_link(), idle=idle))
    assert "| cubic | 2,601" in text
    assert "| +1600 |" in text
    assert "| +0 |" in text


def test_results_are_read_back_as_written(tmp_path: Path) -> None:
    written = results(a_link(), a_link(network="mbit5"))
    write(tmp_path / "payloads.json", written)
    assert read(tmp_path / "payloads.json") == written
    with pytest.raises(BenchError, match=r"nothing\.json holds no results"):
        read(tmp_path / "nothing.json")


def test_the_picture_has_a_panel_per_link_and_iperf_as_a_line() -> None:
    figure = draw(results(a_link(), a_link(network="mbit5", rounds=(a_round(0),))))
    assert [axes.get_title() for axes in figure.axes] == ["lan", "mbit5"]
    assert set(figure.axes[0].get_legend_handles_labels()[1]) == {"TCP", "RPC", "iperf3"}
    assert style.write(figure, "svg").startswith(b"<?xml")
