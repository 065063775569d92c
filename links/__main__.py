"""What runs on a device: ``python -m links shape|probe|clear|show|probe-serve``.  JSON on stdout.

The exit status is 0, or 1 with ``{"error": …}`` when a link cannot be what was asked for.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec

from links.orders import decode_plan
from stage_runtime.errors import LinkError, SplitbedError


def main() -> int:
    """Carry out one command."""
    options = _parser().parse_args()
    try:
        result: dict[str, Any] = options.action(options)
    except SplitbedError as error:
        result = {"error": str(error)}
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    return 1 if "error" in result else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m links", description=__doc__)
    commands = parser.add_subparsers(required=True)
    shape = commands.add_parser("shape", help="put a condition in force, and read it back")
    probe = commands.add_parser("probe", help="measure the links to the later devices of the chain")
    for command, action in ((shape, _shape), (probe, _probe)):
        command.add_argument("--plan", required=True, help="the plan as JSON, or @file")
        command.set_defaults(action=action)
    shape.add_argument("--dry-run", action="store_true", help="only say whether that would change anything")
    clear = commands.add_parser("clear", help="remove the shaping")
    whose = clear.add_mutually_exclusive_group(required=True)
    whose.add_argument("--owner", help="only what this owner shaped")
    whose.add_argument("--any", action="store_true", help="whoever shaped it")
    clear.add_argument("--address", help="with --any: also clear what no state file speaks of")
    clear.add_argument("--emulator-socket", type=Path)
    clear.set_defaults(action=_clear)
    show = commands.add_parser("show", help="say what is in force, whose it is, for how long")
    show.set_defaults(action=_show)
    for command in (clear, show):
        command.add_argument("--run-dir", type=Path, required=True)
    serve = commands.add_parser("probe-serve", help="answer probes until idle for a minute")
    serve.add_argument("--address", required=True)
    serve.add_argument("--port", type=int, required=True)
    serve.set_defaults(action=_serve)
    return parser


# Each command imports what it needs: a device with half a core feels every module.


def _shape(options: argparse.Namespace) -> dict[str, Any]:
    from links.device import shape  # noqa: PLC0415  (see above)

    return shape(decode_plan(options.plan), dry_run=options.dry_run)


def _probe(options: argparse.Namespace) -> dict[str, Any]:
    from links.measure import measure  # noqa: PLC0415  (see above)

    return measure(decode_plan(options.plan))


def _clear(options: argparse.Namespace) -> dict[str, Any]:
    from links.device import clear  # noqa: PLC0415  (see above)

    socket: Path | None = options.emulator_socket
    if socket is not None and not socket.exists():
        socket = None
    owner: str | None = None if options.any else options.owner
    return clear(run_dir=options.run_dir, owner=owner, address=options.address, emulator_socket=socket)


def _show(options: argparse.Namespace) -> dict[str, Any]:
    from links.device import show  # noqa: PLC0415  (see above)

    return show(options.run_dir)


def _serve(options: argparse.Namespace) -> dict[str, Any]:
    from links.probe import server  # noqa: PLC0415  (see above)

    listener = server.listen(options.address, options.port)
    if listener is None:
        raise LinkError(f"cannot listen on {options.address}:{options.port}; is a probe server there already?")
    server.serve(listener)
    return {}


if __name__ == "__main__":
    sys.exit(main())
