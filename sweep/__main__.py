# PYTHON_ARGCOMPLETE_OK
"""The driver's own front end: ``python -m sweep run model=vgg16``."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from pathlib import Path

import argcomplete

from stage_runtime.errors import SplitbedError
from stage_runtime.models.names import PAPER
from sweep.driver import sweep
from sweep.interrupt import Control
from sweep.inventory import load_testbed
from sweep.options import OPTION_HELP, Options, parse_options, parse_words
from sweep.places import CHECKOUT
from sweep.play_field import PlayField
from sweep.progress import RichScreen

EXIT_BAD_INPUT = 2

_EXAMPLES = """
examples:
  python -m sweep run model=mobilenet_v2
  python -m sweep run model=vgg16,resnet18 chains=pi_to_pi networks=lan,wifi repeats=5
  python -m sweep run model=alexnet splits=P3,P8-P12 batch=1 dry_run=true
  python -m sweep run model=squeezenet1_1 granularity=all

The same options are extra vars of ansible-playbook sweep.yml -e model=mobilenet_v2.
A command typed again goes on where the last one stopped; fresh=true begins a new campaign.
exit status: 0 all cells ok, 1 some failed, 2 bad option or inventory, 3 some not run
"""


def _complete(prefix: str, **_kwargs: object) -> list[str]:
    """Complete option names, and the models after ``model=``."""
    if prefix.startswith("model="):
        return [f"model={name}" for name in PAPER]
    return [f"{name}=" for name in (*Options.__struct_fields__, "inventory")]


def build_parser() -> argparse.ArgumentParser:
    """Make the command line's parser."""
    width = max(map(len, OPTION_HELP))
    listing = "\n".join(f"  {name:<{width}}  {text}" for name, text in OPTION_HELP.items())
    inventory = f"{'inventory':<{width}}  inventory file; default: the checkout's"
    epilog = f"options (key=value):\n{listing}\n  {inventory}\n{_EXAMPLES}"
    parser = argparse.ArgumentParser(
        prog="python -m sweep",
        description="Sweep split points over the inventory's chains and network conditions.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("run", "run the matrix"), ("plan", "the same as run dry_run=true")):
        command = commands.add_parser(
            name, help=text, description=text, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        words = command.add_argument("words", nargs="*", metavar="key=value")
        words.completer = _complete  # type: ignore[attr-defined]  # argcomplete's documented hook
    argcomplete.autocomplete(parser)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parsed = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    try:
        words = parse_words(parsed.words)
        inventory = Path(words.pop("inventory", CHECKOUT / "inventory" / "hosts.yml"))
        if parsed.command == "plan":
            words["dry_run"] = "true"
        options = parse_options(words)
        testbed = load_testbed(inventory)
        control = Control()
        signal.signal(signal.SIGINT, lambda _number, _frame: control.interrupt())
        signal.signal(signal.SIGTERM, lambda _number, _frame: control.interrupt())
        with RichScreen() as screen:
            command = ["python", "-m", "sweep", parsed.command, *parsed.words]
            return sweep(options, testbed, screen, control, command=command, field=PlayField(testbed, {}))
    except SplitbedError as exc:
        sys.stderr.write(f"error: {exc}\n")
        return EXIT_BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
