# PYTHON_ARGCOMPLETE_OK
"""Find and show the latency-throughput front of campaigns: ``python -m analysis.front --help``."""

from __future__ import annotations

import argparse
import contextlib
import gc
import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import argcomplete

from analysis.campaigns import Campaign, find_campaigns, list_campaigns
from analysis.commands import exit_status
from analysis.errors import AnalysisError
from analysis.figures.draw import MOST_FIGURES, Choice, Drawings, Painters, Subject, Subjects, choose
from analysis.reading import Readers, read_journals

if TYPE_CHECKING:
    from rich.console import Console

    from analysis.compute import Analysis

_DESCRIPTION = """\
Show where to split: for each network condition the split with the least latency, the one with the
most throughput, the knee between them, and whether splitting beats the unsplit model at all; the
split that is robust over all networks, how the front moves, and TCP against RPC.
Writes tables (CSV, Parquet), figures (SVG, PNG) and one self-contained report.html.
"""

_EXAMPLES = """\
examples:
  the newest campaign under results/
      python -m analysis.front
  one campaign, by name, folder or journal file
      python -m analysis.front mobilenet_v2-1a2b3c4d
      python -m analysis.front /data/lab/mobilenet_v2-1a2b3c4d/journal.jsonl
  two campaigns as one: equal cells count as further repeats, and narrow the intervals
      python -m analysis.front monday tuesday --out both
  every split, of one chain and two networks, without drawing
      python -m analysis.front --every --chain pi_to_pi --network lan --network lte --no-report
  hypervolumes that can be compared between conditions and campaigns
      python -m analysis.front --hypervolume-latency 1000
  the same table in a notebook
      import analysis; runs = analysis.load("results/mobilenet_v2-1a2b3c4d")

files, in CAMPAIGN/report/ or --out:
  report.html            the answer, figures, tables, links, failed runs, provenance, warnings
  front-*, moves-*, attainment-*, stages-*, bounds-*, heatmap-*, transports-*
                         the figures, a set per model, chain, transport and batch size
  points, fronts         tables: one row per split and condition, per condition
  recommendations, moves, attainment   per goal, per network of a study, per corner of a surface
  bounds                 per split: what no runtime can beat, how near it came, where the rest went
  transports, transport_summary        TCP and RPC, per split and per network, chain and model
  devices, links         medians of what the devices and the links did
  stages, runs           per run and stage, per run

tab completion, for this shell:
      eval "$(activate-global-python-argcomplete --dest=- )"
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m analysis.front",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument(
        "campaigns",
        nargs="*",
        metavar="CAMPAIGN",
        help="campaign folder, journal file, or name under the results folder; default: the newest",
    )
    what.completer = _complete_campaign  # type: ignore[attr-defined]  # argcomplete's own convention
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="where campaigns lie; default: results"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write; default: CAMPAIGN/report")
    for name in ("model", "chain", "network", "transport", "batch"):
        parser.add_argument(
            f"--{name}", action="append", default=[], metavar="NAME" if name != "batch" else "N",
            help=f"only this {name}; may be given several times",
        )  # fmt: skip
    parser.add_argument("--every", action="store_true", help="list every front with every split, and every warning")
    parser.add_argument(
        "--format",
        choices=("svg", "png", "both"),
        help="format of the figures' files; default: both, or svg where not every figure is drawn",
    )
    parser.add_argument(
        "--no-runs", action="store_true", help="leave out the tables `runs` and `stages`, which the journal holds"
    )
    parser.add_argument(
        "--all-figures",
        action="store_true",
        help=f"draw every figure, however long it takes; default: at most {MOST_FIGURES}, fronts first",
    )
    parser.add_argument("--no-report", action="store_true", help="draw nothing: print and write tables only")
    parser.add_argument(
        "--hypervolume-latency",
        type=float,
        metavar="MS",
        help="latency up to which hypervolumes count; default: the greatest of each condition, and in the table "
        "`moves` a tenth above the greatest of any front of the study",
    )
    return parser


def _complete_campaign(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    names = [campaign.name for campaign in list_campaigns(parsed_args.results)]
    return [name for name in names if name.startswith(prefix)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 with one line on stderr when there is nothing to show."""
    parser = _parser()
    argcomplete.autocomplete(parser, always_complete_options=False)
    options = parser.parse_args(arguments)
    return exit_status(lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    campaigns = find_campaigns(options.campaigns, options.results)
    folder = options.out or _default_folder(campaigns)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_no_garbage_collected())
        with Readers(campaigns) as readers:
            journal = read_journals(campaigns, readers)
        # so soon, that they import matplotlib while fronts are computed
        painters = None if options.no_report else stack.enter_context(Painters())
        # only now, with something to show: numpy and pandas take seconds to import
        from analysis.compute import FILTERS, analyse_runs, choose_runs  # noqa: PLC0415 - see above
        from analysis.report.build import build_report  # noqa: PLC0415 - see above
        from analysis.run_tables import begin_run_tables  # noqa: PLC0415 - see above
        from analysis.tables import write_tables  # noqa: PLC0415 - see above
        from analysis.terminal import show  # noqa: PLC0415 - see above

        select = {name: getattr(options, name) for name in FILTERS if getattr(options, name)}
        runs = choose_runs(campaigns, journal, select)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            finish = None if options.no_runs else stack.enter_context(begin_run_tables(runs, folder))
            analysis = analyse_runs(campaigns, runs, options.hypervolume_latency)
            figures = None if painters is None else _begin_figures(analysis, folder, painters, options)
            # the answer does not wait for the figures
            console = _console()
            show(analysis, console, every=options.every)
            write_tables(analysis, folder)
            if figures is not None:
                # it waits for each figure where it shows it, and so comes into being while they are drawn
                page = build_report(analysis, figures.drawings.of, figures.left_out)
                (folder / "report.html").write_text(page, encoding="utf-8")
            if finish is not None:
                finish()
        except OSError as exc:
            why = exc.strerror or exc
            raise AnalysisError(f"cannot write to {folder}: {why}; give another folder with --out") from exc
    _say_where(analysis, folder, console, report=painters is not None)
    if figures is not None and figures.left_out:
        sys.stdout.write(f"{figures.left_out}\n")


@contextlib.contextmanager
def _no_garbage_collected() -> Iterator[None]:
    """Do not look for garbage for a while: rows are millions of objects that stay, and looking takes a third longer."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Figures(NamedTuple):
    """The figures that are being drawn, and what is to be said of those that are not."""

    drawings: Drawings
    left_out: str


def _begin_figures(analysis: Analysis, folder: Path, painters: Painters, options: argparse.Namespace) -> _Figures:
    subjects: dict[Subjects, Sequence[Subject]] = {
        "studies": analysis.studies,
        "transports": analysis.transports,
        "codecs": analysis.tradeoffs,
    }
    choice = choose(subjects, None if options.all_figures else MOST_FIGURES)
    wanted = options.format or ("svg" if choice.left_out else "both")
    drawings = painters.begin(choice.shares, ("svg", "png") if wanted == "both" else (wanted,), folder)
    return _Figures(drawings, _left_out(choice))


def _left_out(choice: Choice) -> str:
    """Say which figures were not drawn, and how to have them."""
    if not choice.left_out:
        return ""
    return (
        f"{choice.left_out} figures are not drawn ({', '.join(choice.kinds_left_out)}): {MOST_FIGURES} at most are; "
        "choose with --model, --chain, --transport and the like, or take --all-figures"
    )


def _default_folder(campaigns: Sequence[Campaign]) -> Path:
    first = campaigns[0].folder
    if len(campaigns) == 1:
        return first / "report"
    names = "\n".join(sorted(campaign.name for campaign in campaigns))
    return first.resolve().parent / f"merged-{hashlib.sha256(names.encode()).hexdigest()[:8]}" / "report"


def _console() -> Console:
    from rich.console import Console  # noqa: PLC0415 - see _run

    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = max(console.width, 120)  # a log file has no width; tables need this much
    return console


def _say_where(analysis: Analysis, folder: Path, console: Console, *, report: bool) -> None:
    console.print()
    for campaign in analysis.campaigns:
        console.print(f"journal  {campaign.journal}", markup=False, soft_wrap=True)
    if report:
        console.print(f"report   {folder / 'report.html'}", markup=False, soft_wrap=True)
        console.print(f"figures  {folder}/*.svg, *.png", markup=False, soft_wrap=True)
    console.print(f"tables   {folder}/*.csv, *.parquet", markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
