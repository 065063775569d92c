"""Make the graphs that ONNX Runtime computes on devices; on the control node, from shards in its cache.

Prints one JSON object, and on failure one line on standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from stage_runtime.answering import print_answer
from stage_runtime.errors import ModelError
from stage_runtime.graphs.places import graphs_folder


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = _parser().parse_args(arguments)
    return print_answer(lambda: _make(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stage_runtime.graphs", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="make the graphs of ranges of blocks")
    make.add_argument("--manifest-id", required=True, help="the model, as stage_runtime.shards make printed it")
    make.add_argument(
        "--ranges", required=True, nargs="+", metavar="FIRST-LAST", help="blocks, the last one not included: 0-3 3-19"
    )
    make.add_argument("--cache", type=Path, required=True, help="folder that holds shards/")
    return parser


def _make(options: argparse.Namespace) -> dict[str, object]:
    ranges = [_range(text) for text in options.ranges]
    try:
        from stage_runtime.graphs.make import GraphMaker  # noqa: PLC0415  (onnx is on the control node alone)
    except ModuleNotFoundError as exc:
        raise ModelError(
            f"the package {exc.name} is not installed here, and graphs are made with it; run make setup"
        ) from exc
    maker = GraphMaker(options.cache.absolute())
    with contextlib.redirect_stdout(sys.stderr):  # the exporter and users' models may print
        size, changed = maker.make(options.manifest_id, ranges)
    return {
        "manifest_id": options.manifest_id,
        "path": str(graphs_folder(options.cache.absolute() / "shards", options.manifest_id)),
        "changed": changed,
        "graphs": len(set(ranges)),
        "total_bytes": size,
    }


def _range(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if not (dash and first.isdigit() and last.isdigit()):
        raise ModelError(f"--ranges {text!r}: two block numbers, as 0-3")
    return int(first), int(last)


if __name__ == "__main__":
    sys.exit(main())
