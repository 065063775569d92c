"""The emulator's control socket: one JSON object a line in, one out.

``{"command": "attach", "device": {…}}``, ``detach`` ``{"name": …}``, ``shape`` ``{"order": {…}}``,
``clear`` ``{"owner": …|null, "sources": […]|null}``, ``show``, ``stop``.  The answer is
``{"ok": true, …}`` or ``{"ok": false, "error": …}``.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from links.emulator.engine import Engine
from links.emulator.state import Device, ShapeOrder, State
from stage_runtime.errors import LinkError, SplitbedError

_LOG = logging.getLogger(__name__)
_LONGEST_LINE = 1 << 20
_PEER_TIMEOUT_S = 5.0


class Control:
    """Listen on a Unix socket (mode 0600) and carry out what comes."""

    def __init__(self, path: Path, engine: Engine, state: State) -> None:
        """Bind the socket; a stale one, which nobody answers on, is replaced."""
        self._path = path
        self._engine = engine
        self._state = state
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            self._listener.bind(str(path))
        finally:
            os.umask(mask)
        self._listener.listen(16)
        self._listener.settimeout(0)
        self._handlers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "attach": self._attach,
            "detach": self._detach,
            "shape": self._shape,
            "clear": self._clear,
            "show": self._show,
            "stop": self._stop,
        }
        engine.watch(self._listener, self._accept)

    def close(self) -> None:
        """Stop listening and remove the socket."""
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.settimeout(0)
        buffer = bytearray()
        self._engine.watch(connection, lambda: self._receive(connection, buffer))

    def _receive(self, connection: socket.socket, buffer: bytearray) -> None:
        try:
            chunk = connection.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        buffer += chunk
        if not chunk or len(buffer) > _LONGEST_LINE:
            self._engine.unwatch(connection)
            connection.close()
            return
        while b"\n" in buffer:
            line, _, rest = bytes(buffer).partition(b"\n")
            buffer[:] = rest
            self._answer(connection, line)

    def _answer(self, connection: socket.socket, line: bytes) -> None:
        try:
            answer = {"ok": True, **self._carry_out(msgspec.json.decode(line, type=dict[str, Any]))}
        except (SplitbedError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            answer = {"ok": False, "error": str(error)}
        except Exception as error:  # noqa: BLE001  (one faulty command must not take down every link)
            _LOG.exception("a command failed: %s", line[:500])
            answer = {"ok": False, "error": f"the emulator failed on this command: {error!r}"}
        try:
            connection.settimeout(_PEER_TIMEOUT_S)
            connection.sendall(msgspec.json.encode(answer) + b"\n")
            connection.settimeout(0)
        except OSError as error:
            _LOG.warning("nobody took an answer: %s", error)

    def _carry_out(self, request: dict[str, Any]) -> dict[str, Any]:
        command = request.get("command")
        handler = self._handlers.get(command) if isinstance(command, str) else None
        if handler is None:
            raise LinkError(f"unknown command {command!r}; known: {', '.join(self._handlers)}")
        return handler(request)

    def _attach(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"changed": self._state.attach(msgspec.convert(request.get("device"), Device))}

    def _detach(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"changed": self._state.detach(msgspec.convert(request.get("name"), str))}

    def _shape(self, request: dict[str, Any]) -> dict[str, Any]:
        changed = self._state.shape(msgspec.convert(request.get("order"), ShapeOrder))
        return {"changed": changed, **self._state.show()}

    def _clear(self, request: dict[str, Any]) -> dict[str, Any]:
        owner = msgspec.convert(request.get("owner"), str | None)
        sources = msgspec.convert(request.get("sources"), list[str] | None)
        return {"changed": self._state.clear(owner, sources)}

    def _show(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"pid": os.getpid(), **self._state.show()}

    def _stop(self, _: dict[str, Any]) -> dict[str, Any]:
        self._engine.stop()
        return {"changed": True, "pid": os.getpid()}
