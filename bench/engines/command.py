"""The command ``python -m bench.engines``: measure the engines, write a table."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.document import put_section
from bench.engines.compute import slowings, speeds
from bench.engines.measure import Round, measure
from bench.engines.words import beside_text, text
from bench.testbed import BenchError
from stage_runtime.errors import SplitbedError
from stage_runtime.models.names import PAPER
from sweep.making import make_graphs, make_shards
from sweep.options import parse_options
from sweep.places import CACHE

EXIT_BAD_INPUT = 2
_FILE = "engines.jsonl"
_EXAMPLES = """
examples:
  python -m bench.engines                                     minutes; needs neither root nor devices
  python -m bench.engines --models resnet18 --batches 1,4,16
  python -m bench.engines --document docs/performance.md      and into this document
  python -m bench.engines --again                             the table of what was measured last
"""


def build_parser() -> argparse.ArgumentParser:
    """Make the command line's parser."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.engines",
        description="Time whole models on one core by each engine, in turns.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--models", default=",".join(PAPER), metavar="A,B", help="default: %(default)s")
    add("--batches", default="1,8", metavar="N,M", help="batch sizes; default: %(default)s")
    add("--rounds", type=int, default=5, metavar="N", help="default: %(default)s")
    add("--seconds", type=float, default=0.5, metavar="S", help="of computing per round; default: %(default)s")
    add("--out", type=Path, default=Path("results/engines"), metavar="DIR", help="default: %(default)s")
    add("--document", type=Path, metavar="FILE", help="also write a section into this document")
    add("--again", action="store_true", help="measure nothing; write the table of the results in DIR again")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    told = build_parser().parse_args(arguments)
    try:
        rounds = _read(told.out / _FILE) if told.again else _measure(told)
    except SplitbedError as exc:
        sys.stderr.write(f"error: {exc}\n")
        return EXIT_BAD_INPUT
    said = "\n\n".join(filter(None, (text(speeds(rounds)), beside_text(slowings(rounds)))))
    sys.stdout.write(f"{said}\n")
    if told.document is not None:
        put_section(told.document, "engines", f"## Engines\n\nBy `python -m bench.engines`. {said}")
    return 0


def _measure(told: argparse.Namespace) -> list[Round]:
    options = parse_options({"model": told.models, "batch": told.batches})
    for name in ("rounds", "seconds"):
        if getattr(told, name) <= 0:
            raise BenchError(f"--{name} {getattr(told, name)} is no number above 0")
    manifests = {model: make_shards(options, model) for model in options.model}
    for manifest in manifests.values():
        make_graphs(manifest, [(0, len(manifest.blocks))])
    measured = measure(
        manifests,
        options.batch,
        rounds=told.rounds,
        seconds=told.seconds,
        shards=CACHE / "shards",
        say=lambda line: sys.stderr.write(f"{line}\n"),
    )
    told.out.mkdir(parents=True, exist_ok=True)
    partial = told.out / f"{_FILE}.{os.getpid()}"
    rounds = []
    with partial.open("wb") as file:
        for one in measured:
            rounds.append(one)
            file.write(msgspec.json.encode(one) + b"\n")
    partial.replace(told.out / _FILE)
    return rounds


def _read(path: Path) -> list[Round]:
    try:
        return [msgspec.json.decode(line, type=Round) for line in path.read_bytes().splitlines()]
    except OSError as exc:
        raise BenchError(f"{path}: {exc.strerror}; measure first: python -m bench.engines") from exc
    except msgspec.MsgspecError as exc:
        raise BenchError(f"{path} cannot be read ({exc}); measure again: python -m bench.engines") from exc
