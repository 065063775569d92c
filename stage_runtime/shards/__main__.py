"""Make shards on the control node; say what a device lacks of them.

Each command prints one JSON object, and on failure one line on standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from stage_runtime.answering import print_answer
from stage_runtime.errors import ModelError
from stage_runtime.models.names import SEEDED, canonical_model, check_granularity
from stage_runtime.shards.requests import ShardRequest, remember, remembered
from stage_runtime.shards.store import ShardStore, read_manifest, total_bytes


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    return print_answer(lambda: _make(options) if options.command == "make" else _missing(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stage_runtime.shards", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="cut a model and write its shards into a cache")
    make.add_argument("--model", required=True, help="mobilenet_v2, VGG16, … or package.module:function")
    make.add_argument("--granularity", default="paper", help="paper or all (default: %(default)s)")
    make.add_argument(
        "--weights",
        default=SEEDED,
        help="seeded, a torchvision weights name, or a .pth, .pt or .safetensors file (default: %(default)s)",
    )
    make.add_argument("--num-classes", type=int, default=1000, metavar="N")
    make.add_argument("--seed", type=int, default=0, help="of the seeded weights (default: %(default)s)")
    make.add_argument("--size", type=int, metavar="PIXELS", help="edge of the input (default: the model's own)")
    make.add_argument("--cache", type=Path, required=True, help="folder to hold shards/")
    missing = commands.add_parser("missing", help="check a folder of shards against a manifest")
    missing.add_argument("--manifest", type=Path, required=True, help="the manifest.json")
    missing.add_argument("--dir", type=Path, required=True, help="the folder that holds blocks/")
    return parser


def _make(options: argparse.Namespace) -> dict[str, object]:
    model = canonical_model(options.model)
    if options.num_classes < 1:
        raise ModelError(f"--num-classes {options.num_classes}: at least 1")
    if options.size is not None and options.size < 1:
        raise ModelError(f"--size {options.size}: at least 1 pixel")
    request = ShardRequest(
        model=model,
        granularity=check_granularity(model, options.granularity),
        weights=options.weights,
        num_classes=options.num_classes,
        seed=options.seed,
        input_size=options.size,
    )
    store = ShardStore(options.cache.absolute() / "shards")
    changed = False
    manifest = remembered(request, store)
    if manifest is None:
        from stage_runtime.shards.make import make_shards  # noqa: PLC0415  (torch takes seconds to import)

        with contextlib.redirect_stdout(sys.stderr):  # downloads and users' models may print
            manifest, changed = make_shards(request, store)
        remember(request, store, manifest)
    return {
        "manifest_id": manifest.manifest_id,
        "path": str(store.manifest_path(manifest.manifest_id)),
        "changed": changed,
        "total_bytes": total_bytes(manifest),
        "model": manifest.model,
        "input_shape": manifest.input.shape,
        "split_points": manifest.split_points,
    }


def _missing(options: argparse.Namespace) -> object:
    return ShardStore(options.dir.absolute()).missing(read_manifest(options.manifest))


if __name__ == "__main__":
    sys.exit(main())
