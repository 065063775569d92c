# PYTHON_ARGCOMPLETE_OK
"""The driver's own front end: ``python -m sweep run model=vgg16``."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from stage_runtime.errors import SplitbedError
from stage_runtime.models.names import PAPER
from sweep.budgets import BUDGET_NAMES
from sweep.direct import command as direct
from sweep.driver import sweep
from sweep.options import GRANULARITIES, OPTION_HELP, TRANSPORTS, Options, parse_options, parse_words
from sweep.places import CHECKOUT
from sweep.terminal import obey_signals, open_screen

EXIT_BAD_INPUT = 2

_EXAMPLES = """
examples:
  python -m sweep run model=mobilenet_v2
  python -m sweep run model=vgg16,resnet18 chains=pi_to_pi networks=lan,wifi target_percent=2
  python -m sweep run model=alexnet splits=P3,P8-P12 budget=quick dry_run=true
  python -m sweep run model=squeezenet1_1 granularity=all

The same options are extra vars of ansible-playbook sweep.yml -e model=mobilenet_v2.
A command typed again goes on where the last one stopped; fresh=true begins a new campaign.
exit status: 0 all cells ok, 1 some failed, 2 bad option or inventory, 3 some not run
"""


_CHOICES: Mapping[str, Iterable[str]] = {
    "model": PAPER,
    "budget": BUDGET_NAMES,
    "granularity": GRANULARITIES,
    "transports": (*TRANSPORTS, ",".join(TRANSPORTS)),
}


_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Options)}


def _complete(prefix: str, **_kwargs: object) -> list[str]:
    """Complete option names, and what an option that has few values accepts."""
    name = prefix.partition("=")[0]
    if name in _CHOICES:
        return [f"{name}={choice}" for choice in _CHOICES[name]]
    return [f"{name}=" for name in (*Options.__struct_fields__, "inventory")]


def _default(name: str) -> str:
    """Say what an option is when it is not given, where it has a value then and its help does not tell it."""
    value = _DEFAULTS[name]
    if "default" in OPTION_HELP[name] or value in {msgspec.NODEFAULT, ()}:
        return ""
    if isinstance(value, bool):
        return f" (default: {str(value).lower()})"
    many = value if isinstance(value, tuple) else (value,)
    words = ",".join(format(one, "g") if isinstance(one, float) else str(one) for one in many)
    return f" (default: {words})"


def build_parser() -> argparse.ArgumentParser:
    """Make the command line's parser."""
    width = max(map(len, OPTION_HELP))
    listing = "\n".join(f"  {name:<{width}}  {text}{_default(name)}" for name, text in OPTION_HELP.items())
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
    # Listed here alone: it has a parser of its own.
    commands.add_parser("direct", help="sweep over processes on this machine, without Ansible (direct --help)")
    with contextlib.suppress(ImportError):  # `direct` needs none of the control node's packages, and may lack this one
        import argcomplete  # noqa: PLC0415  (see above)

        argcomplete.autocomplete(parser)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    told = sys.argv[1:] if arguments is None else arguments
    if told[:1] == ["direct"]:
        return direct.main(told[1:])
    parsed = build_parser().parse_args(told)
    logging.basicConfig(level=logging.WARNING)
    try:
        return _run(parsed.command, parsed.words)
    except SplitbedError as exc:
        sys.stderr.write(f"error: {exc}\n")
        return EXIT_BAD_INPUT


def _run(command: str, told: list[str]) -> int:
    # Only here, because `direct` runs where there is no Ansible.
    from sweep.inventory import load_testbed  # noqa: PLC0415  (see above)
    from sweep.play_field import PlayField  # noqa: PLC0415  (see above)

    words = parse_words(told)
    inventory = Path(words.pop("inventory", CHECKOUT / "inventory" / "hosts.yml"))
    if command == "plan":
        words["dry_run"] = "true"
    options = parse_options(words)
    testbed = load_testbed(inventory)
    control = obey_signals()
    with open_screen() as screen:
        asked = ["python", "-m", "sweep", command, *told]
        return sweep(options, testbed, screen, control, command=asked, field=PlayField(testbed, {}))


if __name__ == "__main__":
    sys.exit(main())
