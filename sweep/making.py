"""Make shards, inputs, reference outputs and graphs in the control node's cache, unless that was done before."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from stage_runtime.formats.manifest import Manifest
from stage_runtime.formats.ready import make_ready
from sweep.errors import OptionError
from sweep.options import Options
from sweep.places import CACHE, CHECKOUT

# So that a batch of one is not the same picture each time.
_LEAST_IMAGES = 16


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """Shards, inputs, reference outputs or graphs that lie in the control node's cache."""

    path: str
    changed: bool
    manifest_id: str = ""
    inputs_id: str = ""


def _make(module: str, arguments: list[str]) -> Made:
    """Run a ``make`` command of the runtime in its own process, so that torch stays out of this one."""
    command = [sys.executable, "-m", module, "make", *arguments, "--cache", str(CACHE)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise OptionError(reason[0].removeprefix("error: "))
    answer = done.stdout.strip().splitlines()[-1:] or ["nothing"]
    try:
        return msgspec.json.decode(answer[0], type=Made)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise OptionError(f"python -m {module} make answered what cannot be read ({exc}): {answer[0]}") from exc


def make_shards(options: Options, model: str) -> Manifest:
    """Split `model` into shards, unless that was done before, and give its manifest."""
    made = _make(
        "stage_runtime.shards",
        [
            *("--model", model),
            *("--granularity", options.granularity),
            *("--weights", options.weights),
            *("--num-classes", str(options.num_classes)),
            *("--seed", str(options.seed)),
        ],
    )
    path = Path(made.path)
    return msgspec.json.decode((path / "manifest.json" if path.is_dir() else path).read_bytes(), type=Manifest)


def make_inputs(options: Options, manifest: Manifest) -> str:
    """Prepare the input images for a model, unless that was done before, and give their id."""
    size = manifest.input.shape[-1]
    made = _make(
        "stage_runtime.inputs",
        ["--source", options.inputs, "--size", str(size), "--count", str(max(_LEAST_IMAGES, *options.batch))],
    )
    return made.inputs_id


def make_reference(manifest: Manifest, inputs_id: str) -> None:
    """Compute what the unsplit model gives for the inputs, unless that was done before."""
    _make("stage_runtime.references", ["--manifest-id", manifest.manifest_id, "--inputs-id", inputs_id])


def make_graphs(manifest: Manifest, ranges: Iterable[tuple[int, int]]) -> None:
    """Make what ONNX Runtime computes for ranges ``[first, last)`` of a model's blocks, unless that was done before."""
    asked = [f"{first}-{last}" for first, last in sorted(set(ranges))]
    _make("stage_runtime.graphs", ["--manifest-id", manifest.manifest_id, "--ranges", *asked])


make_ready(Made)
