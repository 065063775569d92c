"""Speak to a running emulator over its control socket."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import msgspec

from stage_runtime.errors import LinkError

_TIMEOUT_S = 15.0


def ask(path: Path, command: str, **arguments: object) -> dict[str, Any]:
    """Send one command and give the answer; LinkError when it fails or nobody answers."""
    request = msgspec.json.encode({"command": command, **arguments}) + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_TIMEOUT_S)
            connection.connect(str(path))
            connection.sendall(request)
            with connection.makefile("rb") as stream:
                line = stream.readline()
    except OSError as error:
        raise LinkError(
            f"the link emulator does not answer on {path} ({error}); bring the virtual devices up again"
        ) from error
    if not line:
        raise LinkError(f"the link emulator closed {path} without an answer; see its log")
    answer = msgspec.json.decode(line, type=dict[str, Any])
    if not answer.pop("ok", False):
        raise LinkError(str(answer.get("error", "the link emulator refused without a reason")))
    return answer


def answers(path: Path) -> bool:
    """Tell whether an emulator answers on this socket."""
    if not path.exists():
        return False
    try:
        ask(path, "show")
    except LinkError:
        return False
    return True
