"""The command ``python -m bench.scaling``: measure how cost grows, and write sections about it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.document import put_figure, put_section
from bench.own_devices import own_devices
from bench.scaling.compute import spots_of
from bench.scaling.series import CUTS, NETWORKS, SERIES, STAGES, Growth, parse_axes
from bench.scaling.words import paragraph, table
from stage_runtime.errors import SplitbedError
from stage_runtime.formats.row import Row
from sweep.campaign import choose_folder
from sweep.driver import sweep
from sweep.journal import read_rows
from sweep.play_field import PlayField
from sweep.terminal import obey_signals, open_screen

EXIT_BAD_INPUT = 2
_EXAMPLES = """
examples:
  python -m bench.scaling                                       into the campaign's folder
  python -m bench.scaling --document docs/performance.md        and into this document
  python -m bench.scaling --model resnet18 --series batch,stages
  python -m bench.scaling --only-show results/scaling/NAME      from what was measured before

A command typed again goes on where the last one stopped; --fresh begins anew.
exit status: 0 all cells ok, 1 some failed, 2 bad option or no devices, 3 some not run
"""


def build_parser() -> argparse.ArgumentParser:
    """Make the command line's parser."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.scaling",
        description="Measure how throughput and latency grow with the batch, the window and the number of stages.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    axes = ",".join(series.axis for series in SERIES)
    parser.add_argument("--model", default="mobilenet_v2", help=f"one of {', '.join(CUTS)}; default: %(default)s")
    parser.add_argument("--series", default=axes, metavar="A,B", help="which series; default: %(default)s")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="runs of everything; default: 3")
    parser.add_argument("--cell-s", type=float, default=4.0, metavar="S", help="seconds per run, about; default: 4")
    parser.add_argument("--results", default="results/scaling", metavar="DIR", help="default: results/scaling")
    parser.add_argument("--fresh", action="store_true", help="begin anew instead of going on")
    parser.add_argument("--document", type=Path, metavar="FILE", help="also write sections into this document")
    parser.add_argument("--only-show", type=Path, metavar="CAMPAIGN", help="measure nothing; show this folder's rows")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    told = build_parser().parse_args(arguments)
    try:
        growth = Growth(
            model=told.model,
            axes=parse_axes(told.series),
            repeats=told.repeats,
            cell_s=told.cell_s,
            results=told.results,
            fresh=told.fresh,
        )
        folder, status = told.only_show, 0
        if folder is None:
            folder = choose_folder(growth.options())
            status = _measure(
                growth, ["python", "-m", "bench.scaling", *(sys.argv[1:] if arguments is None else arguments)]
            )
        show(growth, folder, told.document)
    except SplitbedError as exc:
        sys.stderr.write(f"error: {exc}\n")
        return EXIT_BAD_INPUT
    return status


def _measure(growth: Growth, asked: list[str]) -> int:
    options = growth.options()
    control = obey_signals()
    with open_screen() as screen, own_devices(max(STAGES), growth.chains, NETWORKS) as own:
        field = PlayField(own.testbed, {})
        return sweep(options, own.testbed, screen, control, command=asked, field=field, keep=growth.keep())


def show(growth: Growth, folder: Path, document: Path | None) -> None:
    """Print what each series shows; write figures beside the rows, and sections into the document."""
    from analysis.figures.style import write  # noqa: PLC0415 - matplotlib takes seconds to import
    from bench.scaling.figures import draw  # noqa: PLC0415 - see above

    rows: list[Row] = [row for row in read_rows(folder / "journal.jsonl") if row.model == growth.model]
    for series in growth.series:
        spots = spots_of(series, rows)
        said = paragraph(series, growth.model, spots)
        sys.stdout.write(f"{said}\n\n")
        if not spots:
            continue
        name = f"scaling-{series.axis}.svg"
        picture = write(draw(series, growth.model, spots), "svg")
        (folder / name).write_bytes(picture)
        if document is not None:
            link = f"![{series.title}: throughput and latency]({put_figure(document, name, picture)})"
            told = f"## {series.title}\n\nBy `python -m bench.scaling`. {said}\n\n{link}\n\n{table(series, spots)}"
            put_section(document, f"scaling-{series.axis}", told)
