"""Compute what the unsplit model gives for prepared inputs; on the control node, from shards in its cache.

Prints one JSON object, and on failure one line on standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from stage_runtime.answering import print_answer
from stage_runtime.references.places import reference_path


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = _parser().parse_args(arguments)
    return print_answer(lambda: _make(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stage_runtime.references", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="write the unsplit model's outputs beside the inputs")
    make.add_argument("--manifest-id", required=True, help="the model, as stage_runtime.shards make printed it")
    make.add_argument("--inputs-id", required=True, help="the inputs, as stage_runtime.inputs make printed them")
    make.add_argument("--cache", type=Path, required=True, help="folder that holds shards/ and inputs/")
    return parser


def _make(options: argparse.Namespace) -> dict[str, object]:
    cache = options.cache.absolute()
    path, changed = reference_path(cache / "inputs", options.inputs_id, options.manifest_id), False
    if not path.exists():
        from stage_runtime.references.make import make_reference  # noqa: PLC0415  (torch takes seconds to import)

        with contextlib.redirect_stdout(sys.stderr):  # users' models may print
            path, changed = make_reference(cache, options.manifest_id, options.inputs_id)
    return {
        "manifest_id": options.manifest_id,
        "inputs_id": options.inputs_id,
        "path": str(path),
        "changed": changed,
        "bytes": path.stat().st_size,
    }


if __name__ == "__main__":
    sys.exit(main())
