"""The command ``python -m bench.nearness``: measure how near the bounds cells come, and write sections about it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.document import put_section
from bench.nearness.cells import CHAIN, DEVICES, EVERY_SPLIT, NETWORKS, SPLITS, is_split, options_for
from bench.nearness.compute import efficiencies, held
from bench.nearness.words import efficiency_text, memory_text
from bench.own_devices import own_devices
from stage_runtime.errors import SplitbedError
from stage_runtime.shards.store import ShardStore
from sweep.campaign import choose_folder
from sweep.driver import sweep
from sweep.journal import read_rows
from sweep.options import Options
from sweep.places import CACHE
from sweep.play_field import PlayField
from sweep.terminal import obey_signals, open_screen

EXIT_BAD_INPUT = 2
_EXAMPLES = """
examples:
  python -m bench.nearness                                     into the campaign's folder
  python -m bench.nearness --document docs/performance.md      and into this document
  python -m bench.nearness --networks lan --splits vgg16:P10,resnet18:P4
  python -m bench.nearness --splits all                        every split of all six models: a night
  python -m bench.nearness --only-show results/nearness/NAME   from what was measured before

A command typed again goes on where the last one stopped; --fresh begins anew. More networks or splits of the
same models extend what is there; --only-show takes several campaigns.
exit status: 0 all cells ok, 1 some failed, 2 bad option or no devices, 3 some not run
"""


def build_parser() -> argparse.ArgumentParser:
    """Make the command line's parser."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.nearness",
        description="Measure how near the bounds splits of all six models come, and what their stages hold in memory.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--splits", default=SPLITS, metavar="MODEL:P3,…", help=f"splits, or {EVERY_SPLIT}; default: three of each model"
    )
    parser.add_argument("--networks", default=",".join(NETWORKS), metavar="A,B", help="default: %(default)s")
    parser.add_argument("--engines", default="eager,onnxruntime", metavar="A,B", help="default: %(default)s")
    parser.add_argument("--batches", default="1,8", metavar="N,M", help="batch sizes; default: %(default)s")
    parser.add_argument("--repeats", type=int, default=1, metavar="N", help="runs of everything; default: 1")
    parser.add_argument("--cell-s", type=float, default=2.0, metavar="S", help="seconds per run, about; default: 2")
    parser.add_argument("--results", default="results/nearness", metavar="DIR", help="default: results/nearness")
    parser.add_argument("--fresh", action="store_true", help="begin anew instead of going on")
    parser.add_argument("--document", type=Path, metavar="FILE", help="also write sections into this document")
    parser.add_argument(
        "--only-show", type=Path, nargs="+", metavar="CAMPAIGN", help="measure nothing; show these folders' rows"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    told = build_parser().parse_args(arguments)
    try:
        folders, status = told.only_show, 0
        if folders is None:
            options = options_for(
                splits=told.splits,
                networks=told.networks,
                engines=told.engines,
                batches=told.batches,
                repeats=told.repeats,
                cell_s=told.cell_s,
                results=told.results,
                fresh=told.fresh,
            )
            folders = [choose_folder(options)]
            words = sys.argv[1:] if arguments is None else arguments
            status = _measure(options, ["python", "-m", "bench.nearness", *words])
        show(folders, told.document)
    except SplitbedError as exc:
        sys.stderr.write(f"error: {exc}\n")
        return EXIT_BAD_INPUT
    return status


def _measure(options: Options, asked: list[str]) -> int:
    control = obey_signals()
    with open_screen() as screen, own_devices(len(DEVICES), {CHAIN: DEVICES}, NETWORKS) as own:
        field = PlayField(own.testbed, {})
        return sweep(options, own.testbed, screen, control, command=asked, field=field, keep=is_split)


def show(folders: Sequence[Path], document: Path | None) -> None:
    """Print how near campaigns' rows came and what their stages held; write it into the document as well."""
    rows = [row for folder in folders for row in read_rows(folder / "journal.jsonl")]
    store = ShardStore(CACHE / "shards")
    ids = dict.fromkeys(row.manifest_id for row in rows)
    near = efficiency_text(efficiencies(rows))
    memory = memory_text(held(rows, store.manifest), [store.manifest(manifest_id) for manifest_id in ids])
    sys.stdout.write(f"{near}\n\n{memory}\n")
    if document is not None:
        by = "By `python -m bench.nearness`."
        put_section(document, "nearness", f"## How near the bounds\n\n{by} {near}")
        put_section(document, "memory", f"## What a stage holds in memory\n\n{by} {memory}")
