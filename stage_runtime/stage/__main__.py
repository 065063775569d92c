"""``python -m stage_runtime.stage --config stage.json``: one resident stage, in the foreground.

The control socket appears when the stage is ready.  Exit status: 0 ended as it should (asked to, SIGTERM,
lifetime over, nobody spoke to it); 2 a configuration that cannot be used; 3 the data port cannot be had;
4 the control socket cannot be had.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import os
import signal
import sys
import threading
from pathlib import Path

import msgspec
import psutil

from stage_runtime import __version__
from stage_runtime.allocator import keep_freed_memory
from stage_runtime.errors import SplitbedError, TransportError
from stage_runtime.formats.stage_config import StageConfig
from stage_runtime.private_files import read_secret
from stage_runtime.transports.base import Listener
from stage_runtime.transports.tcp import TcpTransport
from stage_runtime.transports.tls import Tls

EXIT_CONFIG = 2
EXIT_PORT = 3
EXIT_SOCKET = 4

_log = logging.getLogger("stage_runtime.stage")


def main(arguments: list[str] | None = None) -> int:
    """Run a stage to its end and give the exit status."""
    parser = argparse.ArgumentParser(prog="stage_runtime.stage", description="Run one resident stage.")
    parser.add_argument("--config", type=Path, required=True, help="the stage's configuration (JSON)")
    parser.add_argument("--tag", default="", help="any text; `status` gives it back")
    options = parser.parse_args(arguments)
    keep_freed_memory()
    try:
        config = _read_config(options.config)
        secret = read_secret(Path(config.secret_file))
        tls = _read_tls(config)
        _log_to(Path(config.log_file))
    except (SplitbedError, OSError) as exc:
        return _give_up(str(exc), EXIT_CONFIG)
    try:
        listener = TcpTransport().listen(config.data_address, config.port)
    except TransportError as exc:
        return _give_up(f"{exc}{_who_listens(config.port)}", EXIT_PORT)
    return _run(config, listener, secret, tls, options.tag)


def _run(config: StageConfig, listener: Listener, secret: bytes, tls: Tls | None, tag: str) -> int:
    """Become ready, live, and end."""
    # Only now: torch takes seconds to import, and a port in use should not take seconds to say so.
    from stage_runtime.stage.assembly import build_workplace  # noqa: PLC0415 - see above
    from stage_runtime.stage.control_socket import ControlSocket  # noqa: PLC0415 - see above
    from stage_runtime.stage.life import note_begin, note_end  # noqa: PLC0415 - see above
    from stage_runtime.stage.service import Service  # noqa: PLC0415 - see above
    from stage_runtime.stage.world import World  # noqa: PLC0415 - see above

    world = World(config.world, config.device) if config.world is not None else None
    try:
        workplace = build_workplace(config, TcpTransport(config.data_address), secret, world=world, tls=tls)
    except SplitbedError as exc:
        return _give_up(str(exc), EXIT_CONFIG)
    try:
        control = ControlSocket(Path(config.control_socket))
    except SplitbedError as exc:
        return _give_up(str(exc), EXIT_SOCKET)
    service = Service(config, workplace, listener, secret, tag, world=world, tls=tls)
    gc.freeze()  # what is imported stays: to look for garbage among it would take each run a tenth of a second
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda caught, _: service.stop(signal.Signals(caught).name))
    note_begin(Path(config.control_socket).parent)
    threading.Thread(target=service.accept_neighbours, name="accept", daemon=True).start()
    threading.Thread(target=service.join_world, name="world", daemon=True).start()
    threading.Thread(target=control.serve, args=(service,), name="control", daemon=True).start()
    _log.info("%s (runtime %s) is ready on %s:%d", config.device, __version__, config.data_address, config.port)
    try:
        service.live()
    finally:
        control.close()
        note_end(Path(config.control_socket).parent, service.stop_reason)
        service.shut_down()
        _forget_keys(config)
        _log.info("%s ended: %s", config.device, service.stop_reason)
        logging.shutdown()
    # Not a return: the compute thread may be in the middle of a batch, which no interpreter shuts down well.
    os._exit(0)


def _read_config(path: Path) -> StageConfig:
    try:
        return msgspec.json.decode(path.read_bytes(), type=StageConfig)
    except OSError as exc:
        raise SplitbedError(f"configuration {path}: {exc.strerror}") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise SplitbedError(f"configuration {path} does not parse: {exc}") from exc


def _read_tls(config: StageConfig) -> Tls | None:
    if config.tls is None:
        return None
    if config.world is not None:
        raise SplitbedError("TLS and an RPC world exclude each other: what RPC sends cannot be encrypted")
    return Tls(config.tls)


def _forget_keys(config: StageConfig) -> None:
    """Remove what could only serve to pass for this stage, where it is this stage's own."""
    if config.own_keys:
        with contextlib.suppress(OSError):
            for file in (config.secret_file, *(msgspec.structs.astuple(config.tls) if config.tls is not None else ())):
                Path(file).unlink(missing_ok=True)


def _log_to(path: Path) -> None:
    logging.basicConfig(
        filename=path, level=logging.INFO, format="%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s"
    )


def _give_up(reason: str, status: int) -> int:
    _log.error("%s", reason)
    sys.stderr.write(f"stage: {reason}\n")
    return status


def _who_listens(port: int) -> str:
    """Name the process that listens on a port, as far as this user may know."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and tuple(connection.laddr)[1:] == (port,) and connection.pid:
                name = psutil.Process(connection.pid).name()
                return f" (port {port} is held by {name}, pid {connection.pid}); stop it, or set stage_port"
    return f"; free port {port}, or set stage_port"


if __name__ == "__main__":
    sys.exit(main())
