"""Get everything ready: shards and inputs on the control node, then the devices.

Each step is skipped by itself where nothing changed.  A device that cannot be made ready is
*parked*: the chains that need it do not run, the others do.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from stage_runtime.formats.manifest import Manifest
from sweep.errors import OptionError, PlayError
from sweep.inventory import Testbed
from sweep.options import Options
from sweep.plays import CHECKOUT, run_play

# So that a batch of one is not the same picture each time.
_LEAST_IMAGES = 16
CACHE = CHECKOUT / ".splitbed" / "cache"


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """Shards or inputs that lie in the control node's cache."""

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
    except msgspec.MsgspecError as exc:
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


def prepare_devices(
    testbed: Testbed,
    devices: tuple[str, ...],
    *,
    shards: Mapping[str, tuple[str, str]],
    variables: Mapping[str, Any],
    work: Path,
    say: Callable[[str], None],
    stopping: Callable[[], bool],
    cancelled: Callable[[], bool],
) -> dict[str, str]:
    """Bring `devices` up, provision them and give them their shards; return those parked, with reasons.

    `shards` maps a model to its (manifest_id, inputs_id).  Once `stopping`, no further step is
    begun; once `cancelled`, the running one is ended too.
    """
    parked: dict[str, str] = {}

    def play(name: str, hosts: tuple[str, ...], extra: Mapping[str, Any]) -> None:
        hosts = tuple(host for host in hosts if host not in parked)
        if not hosts or stopping():
            return
        try:
            result = run_play(
                name,
                inventory=testbed.path,
                work=work,
                limit=",".join((*hosts, "localhost")),
                variables=dict(variables) | dict(extra),
                cancelled=cancelled,
            )
        except PlayError as exc:
            parked.update(dict.fromkeys(hosts, str(exc)))
            return
        parked.update({host: reason for host, reason in result.reasons.items() if host in hosts})

    virtual = tuple(name for name in devices if testbed.devices[name].virtual)
    if virtual:
        say(f"bringing up virtual devices: {', '.join(virtual)}")
        play("virtual_up", virtual, {})
    say(f"provisioning: {', '.join(devices)}")
    play("provision", devices, {})
    for model, (manifest_id, inputs_id) in shards.items():
        say(f"distributing shards: {model}")
        play(
            "shards",
            devices,
            {
                "model_shards_manifest_id": manifest_id,
                "model_shards_inputs_id": inputs_id,
                "model_shards_cache": str(CACHE),
            },
        )
    return parked
