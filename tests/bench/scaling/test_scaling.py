"""How cost grows: which cells, which points, which sentences."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from analysis.figures.style import write
from bench.scaling.command import main
from bench.scaling.compute import spots_of
from bench.scaling.figures import draw
from bench.scaling.series import (
    BATCHES,
    CUTS,
    ENGINES,
    NETWORKS,
    SERIES,
    STAGES,
    WINDOWS,
    Growth,
    parse_axes,
    stages_of,
)
from bench.scaling.words import paragraph, table
from stage_runtime.formats.row import Row
from stage_runtime.models.names import PAPER
from sweep.condition import make_row
from sweep.errors import OptionError
from sweep.matrix import Run, plan_matrix
from sweep.testbed import Testbed as Bed  # pytest takes a module's name in Test* for tests
from tests.sweep.support import cell_of, device, good, small_testbed

BATCH, WINDOW, DEPTH = SERIES


def growth(**changes: Any) -> Growth:
    fields: dict[str, Any] = {
        "model": "mobilenet_v2",
        "axes": ("batch", "window", "stages"),
        "repeats": 2,
        "cell_s": 4.0,
        "results": "/nowhere",
        "fresh": False,
    }
    return Growth(**(fields | changes))


def bed() -> Bed:
    devices = {name: device(name) for name in ("d1", "d2", "d3", "d4")}
    return small_testbed(devices=devices, chains=growth().chains, networks={k: dict(v) for k, v in NETWORKS.items()})


def runs_of(one: Growth) -> list[Run]:
    points = {one.model: tuple(range(1, PAPER[one.model].split_points + 1))}
    plans = plan_matrix(one.options(), bed(), points, {}, one.keep())
    return [run for plan in plans for run in plan.runs]


def rows_of(one: Growth, **changes: Any) -> Iterator[Row]:
    """Give rows whose figures are known functions of batch, window and stages."""
    for run in runs_of(one):
        cell = cell_of(run, bed())
        stages = stages_of(run.cell)
        rate = cell.batch * 10.0 * min(cell.window, 3) * min(stages, 2)
        measured = good(throughput_ips=rate * (1 + run.repeat / 100), latency_ms=4.0 * cell.batch * cell.window)
        warnings = ("oversubscribed: 3 on 2",) if stages > 2 else ("no spare core",)
        row = make_row("c", cell, measured, weights="", links=(), warnings=warnings)
        bounds = {"throughput_bound_ips": rate * 1.25, "throughput_efficiency": 0.8, "latency_efficiency": 0.95}
        yield msgspec.structs.replace(row, latency_bound_ms=3.8 * cell.batch, **bounds | changes)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return list(rows_of(growth()))


def test_every_place_of_every_series_has_its_cells_once_in_each_repeat() -> None:
    cells = [run.cell for run in runs_of(growth()) if run.repeat == 0]
    assert max(Counter(cell.cell_id for cell in cells).values()) == 1
    batch = {(c.engine, c.batch, c.window) for c in cells if BATCH.wants(c)}
    assert batch == set(itertools.product(ENGINES, BATCHES, (1, 3)))
    window = {(c.network, c.window) for c in cells if WINDOW.wants(c)}
    assert window == set(itertools.product(NETWORKS, WINDOWS))
    depth = {(c.engine, len(c.devices), c.cut, c.window) for c in cells if DEPTH.wants(c)}
    cuts = CUTS["mobilenet_v2"]
    assert depth == {(e, n, cuts[n], w) for e, n, w in itertools.product(ENGINES, STAGES, (1, 5))}
    assert all(any(series.wants(cell) for series in SERIES) for cell in cells)


def test_a_series_alone_takes_its_own_cells_alone() -> None:
    cells = [run.cell for run in runs_of(growth(axes=("window",)))]
    assert {cell.batch for cell in cells} == {8}
    assert {cell.engine for cell in cells} == {"eager"}
    assert {len(cell.devices) for cell in cells} == {2}


@pytest.mark.parametrize("model", CUTS)
def test_cuts_are_cuts_of_the_model_into_so_many_stages(model: str) -> None:
    for stages, cut in CUTS[model].items():
        assert len(cut) == stages - 1
        assert list(cut) == sorted(set(cut))
        assert all(1 <= point <= PAPER[model].split_points for point in cut)
    assert set(CUTS[model]) == set(STAGES)


def test_what_is_unknown_is_refused() -> None:
    with pytest.raises(OptionError, match="unknown series `bath`; known: batch, window, stages"):
        parse_axes("batch,bath")
    with pytest.raises(OptionError, match="no cuts are known for `vgg16`"):
        growth(model="vgg16").options()


def test_points_are_medians_over_repeats_of_the_right_windows(rows: list[Row]) -> None:
    spots = spots_of(BATCH, rows)
    assert [(spot.line, spot.place) for spot in spots] == list(itertools.product(ENGINES, BATCHES))
    eight = next(spot for spot in spots if (spot.line, spot.place) == ("eager", 8))
    assert eight.throughput is not None
    assert eight.latency is not None
    assert eight.throughput.value == pytest.approx(8 * 10 * 3 * 2 * 1.005)
    assert eight.throughput.low < eight.throughput.value < eight.throughput.high
    assert eight.latency.value == 32.0
    assert (eight.throughput_efficiency, eight.latency_efficiency) == (0.8, 0.95)
    assert eight.split == "P3"


def test_with_a_window_a_latency_holds_queueing_and_has_no_bound(rows: list[Row]) -> None:
    spots = [spot for spot in spots_of(WINDOW, rows) if spot.line == "lan"]
    assert [spot.place for spot in spots] == list(WINDOWS)
    assert [spot.latency_efficiency is None for spot in spots] == [False, *[True] * 7]
    assert spots[-1].latency is not None
    assert spots[-1].latency.value == 4.0 * 8 * 8


def test_runs_that_failed_are_left_out(rows: list[Row]) -> None:
    failed = [msgspec.structs.replace(row, status="failed") if row.batch == 16 else row for row in rows]
    assert 16 not in {spot.place for spot in spots_of(BATCH, failed)}
    assert spots_of(BATCH, []) == []
    assert paragraph(BATCH, "mobilenet_v2", []) == "Batch size: nothing was measured."


def test_the_batch_paragraph_says_what_the_points_say(rows: list[Row]) -> None:
    said = paragraph(BATCH, "mobilenet_v2", spots_of(BATCH, rows))
    assert "mobilenet_v2 cut at P3, by images per batch." in said
    assert "eager: throughput goes from 60.3 images/s at batch 1 to 1,930 at batch 32" in said
    assert "4.00 ms at batch 1 and 128 ms at batch 32, which is 4.00 and 4.00 ms an image" in said
    assert "latency 95% to 95%; throughput 80% to 80%" in said
    assert "too few cores" not in said


def test_the_window_paragraph_says_from_where_on_there_is_nothing_to_gain(rows: list[Row]) -> None:
    said = paragraph(WINDOW, "mobilenet_v2", spots_of(WINDOW, rows))
    assert "from window 3 on there is no more than 2% to gain, 3.00 times what window 1 gives" in said
    assert "latency is 32.0 ms with 1 in flight and 256 ms with 8, queueing included" in said


def test_the_stages_paragraph_says_which_share_cores(rows: list[Row]) -> None:
    said = paragraph(DEPTH, "mobilenet_v2", spots_of(DEPTH, rows))
    assert "1 (only:d1)" in said
    assert "2 stages 2.00, 3 stages 2.00, 4 stages 2.00 times the throughput" in said
    assert "too few cores for all of it (oversubscribed: 3 on 2)" in said


def test_a_table_has_a_line_for_every_point(rows: list[Row]) -> None:
    spots = spots_of(DEPTH, rows)
    lines = table(DEPTH, spots).splitlines()
    assert len(lines) == len(spots) + 2
    assert len({line.count("|") for line in lines}) == 1


@pytest.mark.parametrize("series", SERIES, ids=lambda series: series.axis)
def test_every_series_can_be_drawn(series: Any, rows: list[Row]) -> None:
    svg = write(draw(series, "mobilenet_v2", spots_of(series, rows)), "svg")
    assert b"images/s" in svg
    assert all(line.encode() in svg for line in series.lines)
    bare = [msgspec.structs.replace(row, throughput_bound_ips=None, latency_bound_ms=None) for row in rows]
    assert len(write(draw(series, "mobilenet_v2", spots_of(series, bare)), "svg")) < len(svg), "bounds are drawn"


def test_sections_are_written_from_rows_that_are_there(
    rows: list[Row], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "journal.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    document = tmp_path / "docs" / "performance.md"
    command = ["--only-show", str(tmp_path), "--document", str(document)]
    assert main(command) == 0
    text = document.read_text()
    assert [text.index(f"## {series.title}") for series in SERIES] == sorted(
        text.index(f"## {series.title}") for series in SERIES
    )
    for series in SERIES:
        name = f"scaling-{series.axis}.svg"
        assert f"](performance/{name})" in text
        assert (document.parent / "performance" / name).read_bytes() == (tmp_path / name).read_bytes()
        assert paragraph(series, "mobilenet_v2", spots_of(series, rows)) in text
    assert main(command) == 0
    assert document.read_text() == text, "made again from the same rows it is the same"
    assert "no more than 2% to gain" in capsys.readouterr().out


def test_a_bad_option_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--series", "depth"]) == 2
    assert capsys.readouterr().err.startswith("error: unknown series `depth`")
