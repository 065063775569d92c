"""The local socket that the control command talks to: one JSON line each way.

While something is measured, which takes long, an empty line each second says that the stage lives.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import socket
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from stage_runtime.errors import SplitbedError
from stage_runtime.formats.cell import Cell
from stage_runtime.formats.profile import ProfileAnswer, ProfileRequest
from stage_runtime.formats.row import Measurement
from stage_runtime.profiling.run import ProfileRun
from stage_runtime.stage.leader import LeaderRun
from stage_runtime.stage.service import Service

_log = logging.getLogger(__name__)

_ACCEPT_S = 0.5
_REQUEST_S = 10.0
_MOST_REQUEST_BYTES = 2**20
_BEAT_S = 1.0

# These stay open until the process ends, which is how their clients see that it has.
_asked_to_stop: list[socket.socket] = []


class ControlSocket:
    """A UNIX socket for this user only.  A file that a dead stage left behind is replaced."""

    def __init__(self, path: Path) -> None:
        _remove_stale(path)
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._socket.bind(str(path))
            self._inode = path.stat().st_ino
            self._socket.listen()
        except OSError as exc:
            self._socket.close()
            raise SplitbedError(f"cannot make the control socket {path}: {exc.strerror or exc}") from exc
        finally:
            os.umask(before)

    def serve(self, service: Service) -> None:
        """Answer clients until the service stops; a thread's work."""
        self._socket.settimeout(_ACCEPT_S)
        while not service.stopping.is_set():
            try:
                client, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError as exc:
                if not service.stopping.is_set():
                    _log.warning("cannot hear the control command: %s", exc)
                    time.sleep(_ACCEPT_S)
                continue
            try:
                threading.Thread(target=_answer, args=(client, service), name="control", daemon=True).start()
            except RuntimeError as exc:  # no thread to be had
                _log.warning("cannot answer the control command: %s", exc)
                client.close()

    def close(self) -> None:
        """Stop listening, and remove the file unless another stage has put its own there."""
        self._socket.close()
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody serves; raises SplitbedError when somebody does, or it is no socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_REQUEST_S)
        try:
            probe.connect(str(path))
        except FileNotFoundError:
            return
        except ConnectionRefusedError as exc:
            if not path.is_socket():
                raise SplitbedError(f"{path} is in the way of the control socket: remove it") from exc
            path.unlink(missing_ok=True)
            return
        except OSError as exc:
            what = "its path is too long" if exc.errno is None else exc.strerror
            raise SplitbedError(f"cannot use {path} as control socket: {what}") from exc
    raise SplitbedError(f"another stage serves {path}; stop it first (control.py --socket {path} stop)")


def _answer(client: socket.socket, service: Service) -> None:
    """Read one request, do it, write one line."""
    try:
        client.settimeout(_REQUEST_S)
        request = _read_request(client)
        if _has_gone(client):
            raise ConnectionAbortedError("it was not waited for")  # this process stood still meanwhile
        service.touch()
        operation = request.get("op")
        if operation == "run":
            answer = _run(client, service, request)
        elif operation == "profile":
            answer = _profile(client, service, request)
        elif operation in {"ping", "status"}:
            answer = json.dumps(service.status()).encode()
        elif operation == "world":
            service.await_world()
            answer = json.dumps(service.status()).encode()
        elif operation == "stop":
            answer = json.dumps({"stopping": True, "pid": os.getpid()}).encode()
        else:
            answer = json.dumps({"error": f"unknown operation {operation!r}"}).encode()
        client.settimeout(_REQUEST_S)
        client.sendall(answer + b"\n")
        if operation == "stop":
            _asked_to_stop.append(client)
            service.stop("the control command asked for it")
            return
    except (OSError, TypeError, ValueError, RecursionError) as exc:
        _log.warning("a control client went away or made no sense: %s", exc)
    client.close()


def _read_request(client: socket.socket) -> dict[str, Any]:
    data = bytearray()
    while not data.endswith(b"\n"):
        part = client.recv(65536)
        if not part or len(data) > _MOST_REQUEST_BYTES:
            raise ValueError(f"a request of {len(data)} bytes does not end in a newline")
        data += part
    request = json.loads(data)
    if not isinstance(request, dict):
        raise TypeError("a request is a JSON object")
    return request


def _has_gone(client: socket.socket) -> bool:
    """Say whether the client has closed its end."""
    poll = select.poll()
    poll.register(client, select.POLLRDHUP)
    return bool(poll.poll(0))


def _run(client: socket.socket, service: Service, request: dict[str, Any]) -> bytes:
    try:
        cell = msgspec.convert(request.get("cell"), Cell)
    except msgspec.ValidationError as exc:
        return msgspec.json.encode(Measurement(status="failed", reason=f"the cell does not parse: {exc}"))
    save = request.get("save_output")
    return _measure(client, service.lead(cell, Path(save) if isinstance(save, str) else None))


def _profile(client: socket.socket, service: Service, request: dict[str, Any]) -> bytes:
    try:
        wanted = msgspec.convert(request.get("request"), ProfileRequest)
    except msgspec.ValidationError as exc:
        return msgspec.json.encode(ProfileAnswer(status="failed", reason=f"the request does not parse: {exc}"))
    return _measure(client, service.profile(wanted))


def _measure(client: socket.socket, run: LeaderRun | ProfileRun) -> bytes:
    """Have it measured while the client is there to hear of it."""
    client.settimeout(_BEAT_S)
    watcher = threading.Thread(target=_watch, args=(client, run), name="watch", daemon=True)
    watcher.start()
    measured = run.measure()
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RD)
    watcher.join()
    return msgspec.json.encode(measured)


def _watch(client: socket.socket, run: LeaderRun | ProfileRun) -> None:
    """Tell the client that this process lives; end the run when the client goes away, for nobody would hear of it."""
    with contextlib.suppress(OSError):
        while True:
            try:
                client.recv(1)
                break
            except TimeoutError:
                client.sendall(b"\n")
    run.fail(run.own_error("the control command went away before the run was over"))
