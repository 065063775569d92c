"""The command ``python -m bench``: measure, compare, show."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.contest.baseline import Baseline, read_baseline
from bench.contest.compare import collect, contrasts
from bench.contest.field import ContestField
from bench.contest.sides import CHAIN, MODELS, NETWORKS, Contest, choose_splits
from bench.contest.tables import NOTE, as_csv, judged_text, markdown, terminal_table
from bench.contest.targets import judge
from bench.contest.workers import Workers, start_on
from bench.document import put_section
from bench.own_devices import OwnDevices, own_devices
from bench.testbed import NETWORKS as CONDITIONS
from stage_runtime.errors import SplitbedError
from sweep.campaign import choose_folder
from sweep.driver import sweep
from sweep.interrupt import Control
from sweep.journal import read_rows
from sweep.play_field import PlayField
from sweep.progress import Screen
from sweep.terminal import obey_signals, open_screen

EXIT_BAD_INPUT = 2
_QUICK_SPLITS = 2
_REPEATS = 3
_WIDTH = 160
_EXAMPLES = """
examples:
  python -m bench                                    everything, some hours
  python -m bench --quick                            one repeat of fewer splits: no intervals
  python -m bench --quick --repeats 3 --cell-s 1     with intervals, in less than an hour
  python -m bench --models alexnet --networks lan --splits "alexnet:6,10"
  python -m bench --only-show results/bench/NAME     the table of what was measured before

A command typed again goes on where the last one stopped; --fresh begins anew.
exit status: 0 all cells ok, 1 some failed, 2 bad option or no devices, 3 some not run
"""


def build_parser() -> argparse.ArgumentParser:
    """Make the command line's parser."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Compare TCP, RPC, a blocking pickle transport, the unsplit model by each engine, and the bounds, "
        "interleaved in one run on two virtual devices of a core each.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--models", default=",".join(MODELS), metavar="A,B", help="models; default: %(default)s")
    parser.add_argument("--networks", default=",".join(NETWORKS), metavar="A,B", help="networks; default: %(default)s")
    parser.add_argument("--splits", default="", metavar="MODEL:3,5;…", help="splits; default: a table's, by network")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="images per batch; default: 8")
    parser.add_argument("--repeats", type=int, metavar="N", help="runs of everything; default: 3, or 1 with --quick")
    parser.add_argument("--cell-s", type=float, default=4.0, metavar="S", help="seconds per run, about; default: 4")
    parser.add_argument("--quick", action="store_true", help="the first two splits alone, once unless --repeats")
    parser.add_argument("--results", default="results/bench", metavar="DIR", help="default: results/bench")
    parser.add_argument("--fresh", action="store_true", help="begin anew instead of going on")
    parser.add_argument("--document", type=Path, metavar="FILE", help="also write the table into this document")
    parser.add_argument("--only-show", type=Path, metavar="CAMPAIGN", help="measure nothing; show this folder's rows")
    return parser


def contest_for(told: argparse.Namespace) -> Contest:
    """Make the contest that the options ask for; raises OptionError."""
    models, networks = (tuple(filter(None, text.split(","))) for text in (told.models, told.networks))
    splits = choose_splits(models, networks, told.splits)
    if told.quick:
        splits = {m: {n: points[:_QUICK_SPLITS] for n, points in own.items()} for m, own in splits.items()}
    return Contest(
        splits=splits,
        batch=told.batch,
        repeats=(1 if told.quick else _REPEATS) if told.repeats is None else told.repeats,
        cell_s=told.cell_s,
        results=told.results,
        fresh=told.fresh,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    told = build_parser().parse_args(arguments)
    try:
        if told.only_show is not None:
            show(told.only_show, told.document)
            return 0
        contest = contest_for(told)
        folder = choose_folder(contest.options())
        asked = ["python", "-m", "bench", *(sys.argv[1:] if arguments is None else arguments)]
        status = _measure(contest, asked)
        show(folder, told.document)
    except SplitbedError as exc:
        sys.stderr.write(f"error: {exc}\n")
        return EXIT_BAD_INPUT
    return status


def _measure(contest: Contest, asked: list[str]) -> int:
    control = obey_signals()
    networks = {name: CONDITIONS[name] for name in contest.networks}
    with open_screen() as screen, own_devices(2, {CHAIN: ("d1", "d2")}, networks) as own:
        return run(contest, own, screen, control, asked)


def run(contest: Contest, own: OwnDevices, screen: Screen, control: Control, asked: list[str]) -> int:
    """Sweep the contest's cells with the baseline between them; return the sweep's exit status."""
    devices = own.testbed.devices
    with Workers(("d1", "d2"), start_on(own.bed, devices), control.cancelled) as workers:

        def between(folder: Path) -> Baseline:
            return Baseline(folder, devices, workers, limit_s=contest.cell_s, say=screen.line)

        return sweep(
            contest.options(),
            own.testbed,
            screen,
            control,
            command=asked,
            field=ContestField(PlayField(own.testbed, {}), control, between),
            keep=contest.keep(),
        )


def show(folder: Path, document: Path | None = None) -> None:
    """Print the table of a campaign's rows, and write it beside them as ``bench.md`` and ``bench.csv``."""
    rows = list(read_rows(folder / "journal.jsonl"))
    found = contrasts(collect(rows, read_baseline(folder)))
    judged = judge(found)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH)
    if not found:
        console.print(f"nothing to compare in {folder}", markup=False)
        return
    console.print(terminal_table(found))
    console.print(NOTE, markup=False)
    for one in judged:
        console.print(judged_text(one), markup=False, soft_wrap=True)
    text = markdown(found, judged)
    (folder / "bench.md").write_text(text, encoding="utf-8")
    (folder / "bench.csv").write_text(as_csv(found), encoding="utf-8")
    console.print(f"table  {folder / 'bench.md'}, {folder / 'bench.csv'}", markup=False, soft_wrap=True)
    if document is not None:
        put_section(document, "contest", f"## Against what people would pick instead\n\nBy `make bench`. {text}")
