# PYTHON_ARGCOMPLETE_OK
"""Show block profiles: ``python -m analysis.profile --help``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import argcomplete

from analysis.commands import exit_status
from analysis.errors import AnalysisError
from analysis.profiles.find import find_folders, list_folders, read_profiles

if TYPE_CHECKING:
    from analysis.profiles.costs import ModelCosts

_DESCRIPTION = """\
Show what every block of a model costs on each device that was profiled: time, share, bytes, peak memory.
Writes a table (CSV, Parquet) and two figures (SVG, PNG): the time per block, and for every split point
the time before it and the bytes across it.
"""

_EXAMPLES = """\
examples:
  the newest profile under results/profiles/
      python -m analysis.profile
  two models, by name or folder
      python -m analysis.profile mobilenet_v2-1a2b3c4d /data/lab/profiles/vgg16-5e6f7a8b

files, in FOLDER/report/ or --out:
  blocks.csv, blocks.parquet    one row per device, batch size and block
  block-times.*, splits.*       the figures
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m analysis.profile",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument(
        "folders",
        nargs="*",
        metavar="FOLDER",
        help="a model's folder of profiles, or its name under the results folder; default: the newest",
    )
    what.completer = _complete_folder  # type: ignore[attr-defined]  # argcomplete's own convention
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="where profiles/ lies; default: results"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write; default: FOLDER/report")
    parser.add_argument("--no-figures", action="store_true", help="draw nothing: print and write tables only")
    return parser


def _complete_folder(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    names = [folder.name for folder in list_folders(parsed_args.results)]
    return [name for name in names if name.startswith(prefix)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 with one line on stderr when there is nothing to show."""
    parser = _parser()
    argcomplete.autocomplete(parser, always_complete_options=False)
    options = parser.parse_args(arguments)
    return exit_status(lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    folders = find_folders(options.folders, options.results)
    for folder in folders:
        several = options.out is not None and len(folders) > 1
        out = options.out / folder.name if several else options.out or folder / "report"
        _show(folder, out, figures=not options.no_figures)


def _show(folder: Path, out: Path, *, figures: bool) -> None:
    profiles = read_profiles(folder)
    from analysis.profiles.costs import find_costs  # noqa: PLC0415 - not before there is something to show

    model = find_costs(profiles)
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write(model, out, figures=figures)
    except OSError as exc:
        raise AnalysisError(f"cannot write to {out}: {exc.strerror or exc}; give another folder with --out") from exc
    _print(model, folder, out, figures=figures)


def _write(model: ModelCosts, out: Path, *, figures: bool) -> None:
    # pandas and matplotlib take seconds to import, and `--help` needs neither
    from analysis.profiles.tables import blocks_frame  # noqa: PLC0415 - see above

    table = blocks_frame(model)
    table.to_csv(out / "blocks.csv", index=False)
    table.to_parquet(out / "blocks.parquet", index=False)
    if not figures:
        return
    from analysis.figures import style  # noqa: PLC0415 - see above
    from analysis.figures.block_times import draw_block_times  # noqa: PLC0415 - see above
    from analysis.figures.split_costs import draw_split_costs  # noqa: PLC0415 - see above

    drawn = {"block-times": draw_block_times(model)} | ({"splits": draw_split_costs(model)} if model.splits else {})
    for name, figure in drawn.items():
        for kind in ("svg", "png"):
            (out / f"{name}.{kind}").write_bytes(style.write(figure, kind))


def _print(model: ModelCosts, folder: Path, out: Path, *, figures: bool) -> None:
    from rich.console import Console  # noqa: PLC0415 - see _write

    from analysis.profiles.tables import blocks_table, splits_line, whole_lines  # noqa: PLC0415 - see _write

    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = max(console.width, 120)  # a log file has no width; tables need this much
    for batch in model.batches:
        console.print(blocks_table(model, batch))
        for line in whole_lines(model, batch):
            console.print(line, markup=False)
        console.print()
    console.print(splits_line(model), markup=False)
    for text in model.warnings:
        console.print(f"warning: {text}", style="yellow", markup=False)
    console.print()
    console.print(f"profiles {folder}/*.json", markup=False, soft_wrap=True)
    if figures:
        console.print(f"figures  {out}/*.svg, *.png", markup=False, soft_wrap=True)
    console.print(f"tables   {out}/*.csv, *.parquet", markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
