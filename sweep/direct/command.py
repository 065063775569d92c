"""The command ``python -m sweep direct model=… devices=…``."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import sys
from collections.abc import Sequence

from stage_runtime.errors import SplitbedError
from sweep.direct.check import check_outputs
from sweep.direct.devices import DEFAULT_PORT, chain_name, make_testbed, parse_devices, parse_port
from sweep.direct.field import DirectField
from sweep.driver import sweep
from sweep.errors import OptionError
from sweep.options import OPTION_HELP, Options, parse_options, parse_words
from sweep.terminal import obey_signals, open_screen

EXIT_BAD_INPUT = 2
_HERE = {
    "devices": "the stages in order: NAME:ACCELERATOR[:CPUS], such as pi1:cpu:0.5,gpu1:cuda",
    "chain": "what the rows call the chain; default: the devices' names without numbers, such as pi_to_gpu",
    "port": f"the first of the loopback's ports that are used, {DEFAULT_PORT} if not given",
}
_EXAMPLES = """
examples:
  python -m sweep direct model=mobilenet_v2,resnet18 devices=pi1:cpu:0.5,gpu1:cuda budget=quick
  python -m sweep direct check model=mobilenet_v2 devices=pi1:cpu,gpu1:cuda

`check` measures nothing: it compares what each device, and a cut between them, gives for the same images.

chains and networks are not chosen: there is the one chain of all devices, over the loopback as it is.
report is false if not given: the report needs more packages; the rows can be analysed elsewhere.
A command typed again goes on where the last one stopped; fresh=true begins a new campaign.
exit status: 0 all cells ok, 1 some failed (check: or disagree), 2 bad option, 3 some not run
"""


def build_parser() -> argparse.ArgumentParser:
    """Make the command line's parser."""
    listed = {**_HERE, **{name: text for name, text in OPTION_HELP.items() if name not in {"chains", "networks"}}}
    width = max(map(len, listed))
    listing = "\n".join(f"  {name:<{width}}  {text}" for name, text in listed.items())
    parser = argparse.ArgumentParser(
        prog="python -m sweep direct",
        description="Sweep split points over processes of this machine: no Ansible, SSH, namespaces or root.",
        epilog=f"options (key=value):\n{listing}\n{_EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "words", nargs="*", metavar="key=value", help="options; `check` before them only compares outputs"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    told = build_parser().parse_args(arguments).words
    logging.basicConfig(level=logging.WARNING)
    try:
        return _run(told)
    except SplitbedError as exc:
        sys.stderr.write(f"error: {exc}\n")
        return EXIT_BAD_INPUT


def _require_scipy(options: Options) -> None:
    """Refuse, before anything is measured, what would fail at the first interval without scipy."""
    if options.most_repeats > options.repeats and importlib.util.find_spec("scipy") is None:
        raise OptionError(
            f"repeating cells until they are settled needs scipy, which is not installed here; remedy: a fixed number "
            f"of runs, such as most_repeats={options.repeats}"
        )


def _run(told: list[str]) -> int:
    checking = told[:1] == ["check"]
    words = parse_words(told[1:] if checking else told)
    if "devices" not in words:
        raise OptionError(f"option `devices` is missing; remedy: devices={_HERE['devices'].rpartition(' ')[2]}")
    port = parse_port(words.pop("port", str(DEFAULT_PORT)))
    devices = parse_devices(words.pop("devices"), sorted(os.sched_getaffinity(0)), port)
    testbed = make_testbed(devices, words.pop("chain", chain_name(devices)))
    options = parse_options({"report": "false", **words})
    if not checking:
        _require_scipy(options)
    control = obey_signals()
    with open_screen() as screen, DirectField(testbed) as field:
        if checking:
            return check_outputs(options, testbed, field, screen, control)
        asked = ["python", "-m", "sweep", "direct", *told]
        return sweep(options, testbed, screen, control, command=asked, field=field)
