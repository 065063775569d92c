"""Prepare photographs as the input of a model, on the control node.

Prints one JSON object, and on failure one line on standard error.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stage_runtime.answering import print_answer
from stage_runtime.errors import InputError
from stage_runtime.inputs.requests import (
    DEFAULT_SOURCE,
    InputsRequest,
    find_photographs,
    inputs_path,
    remember,
    remembered,
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = _parser().parse_args(arguments)
    return print_answer(lambda: _make(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stage_runtime.inputs", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="write a cache file that holds one tensor of images")
    make.add_argument(
        "--source",
        default=DEFAULT_SOURCE,
        help="a folder of photographs, or default: the two that scikit-learn ships",
    )
    make.add_argument("--size", type=int, required=True, metavar="PIXELS", help="edge of the square images")
    make.add_argument("--count", type=int, required=True, metavar="N", help="how many images")
    make.add_argument("--cache", type=Path, required=True, help="folder to hold inputs/")
    return parser


def _make(options: argparse.Namespace) -> dict[str, object]:
    for name in ("size", "count"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name} {getattr(options, name)}: at least 1")
    request = InputsRequest(photographs=find_photographs(options.source), size=options.size, count=options.count)
    folder = options.cache.absolute() / "inputs"
    changed = False
    inputs_id = remembered(request, folder)
    if inputs_id is None:
        from stage_runtime.inputs.photographs import prepare_inputs  # noqa: PLC0415  (numpy and PIL take time)

        inputs_id, changed = prepare_inputs(request, folder)
        remember(request, folder, inputs_id)
    path = inputs_path(folder, inputs_id)
    return {"inputs_id": inputs_id, "path": str(path), "changed": changed, "bytes": path.stat().st_size}


if __name__ == "__main__":
    sys.exit(main())
