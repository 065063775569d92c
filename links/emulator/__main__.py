"""The emulator's command line: ``python -m links.emulator --socket PATH [command]``.

Without a command it serves (in the foreground, or with ``--detach`` in the background, returning
when it answers); with one it speaks to the emulator on that socket.  Each prints one JSON object.
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import IO, Any

import msgspec

from links.background import start_in_background
from links.emulator.client import answers, ask
from links.emulator.control import Control
from links.emulator.engine import Engine, prefer_this_process
from links.emulator.state import State
from stage_runtime.errors import LinkError, SplitbedError

_LOG = logging.getLogger("links.emulator")
_START_TIMEOUT_S = 10.0


def main() -> int:
    """Serve or ask; 0 on success, 1 with ``{"error": …}`` otherwise."""
    options = _parser().parse_args()
    try:
        result = _carry_out(options)
    except SplitbedError as error:
        result = {"error": str(error)}
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    return 1 if "error" in result else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m links.emulator", description=__doc__)
    parser.add_argument("--socket", type=Path, required=True, help="the control socket")
    parser.add_argument("--pidfile", type=Path, help="written while it serves")
    parser.add_argument("--log", type=Path, help="where a detached emulator logs (default: nowhere)")
    parser.add_argument("--detach", action="store_true", help="serve in the background")
    commands = parser.add_subparsers(dest="command")
    attach = commands.add_parser("attach", help="attach a device's namespace")
    attach.add_argument("--name", required=True)
    attach.add_argument("--netns", required=True, help="a name of ip netns, or an absolute path")
    attach.add_argument("--address", required=True)
    attach.add_argument("--prefix", type=int, default=24)
    attach.add_argument("--interface", default="data0")
    detach = commands.add_parser("detach", help="detach a device and remove its interface")
    detach.add_argument("--name", required=True)
    commands.add_parser("show", help="devices, directions in force, counters")
    commands.add_parser("stop", help="end the emulator")
    return parser


def _carry_out(options: argparse.Namespace) -> dict[str, Any]:
    path: Path = options.socket
    match options.command:
        case None if options.detach:
            return _serve_detached(path, options.pidfile, options.log)
        case None:
            logging.basicConfig(level=logging.INFO)
            _serve(path, options.pidfile)
            return {}
        case "attach":
            device = {key: getattr(options, key) for key in ("name", "netns", "address", "prefix", "interface")}
            return ask(path, "attach", device=device)
        case "detach":
            return ask(path, "detach", name=options.name)
        case "stop":
            return _stop(path)
        case _:
            return ask(path, "show")


def _stop(path: Path) -> dict[str, Any]:
    """End the emulator and wait until it is gone; nothing to do when nobody answers."""
    if not answers(path):
        return {"changed": False}
    answer = ask(path, "stop")
    deadline = time.monotonic() + _START_TIMEOUT_S
    while path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return answer


def _serve(path: Path, pidfile: Path | None) -> None:
    """Serve until told to stop; raises LinkError when another emulator has the socket."""
    lock = _lock(path)
    engine = Engine(on_tick=lambda: state.expire())  # noqa: PLW0108  (state is bound on the next line)
    state = State(engine)
    control = Control(path, engine, state)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: engine.stop())
    if pidfile is not None:
        pidfile.write_text(f"{os.getpid()}\n", encoding="ascii")
    _LOG.info("serving on %s as a %s process", path, prefer_this_process())
    try:
        engine.run()
    finally:
        control.close()
        if pidfile is not None:
            pidfile.unlink(missing_ok=True)
        lock.close()


def _lock(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(path.name + ".lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise LinkError(f"another link emulator serves {path}; stop it first, or use it") from None
    return lock


def _serve_detached(path: Path, pidfile: Path | None, log: Path | None) -> dict[str, Any]:
    """Start a serving process that outlives this one, and wait until it answers."""
    if answers(path):
        return {"changed": False, "pid": ask(path, "show")["pid"]}
    for file in (path, pidfile, log):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
    absolute = path.absolute()
    start_in_background(lambda: _serve(absolute, pidfile and pidfile.absolute()), log=log and log.absolute())
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not answers(path):
        if time.monotonic() > deadline:
            raise LinkError(f"the link emulator did not answer on {path} in time; see its log {log}")
        time.sleep(0.02)
    return {"changed": True, "pid": ask(path, "show")["pid"]}


if __name__ == "__main__":
    sys.exit(main())
