"""Run the programs that change or describe this machine's links: the only place that does."""

from __future__ import annotations

import functools
import os
import shutil
import socket
import subprocess
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from stage_runtime.errors import LinkError

_TIMEOUT_S = 20.0
# a user without root in PATH still has these on Debian
_SEARCH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def run(argv: Sequence[str]) -> str:
    """Run one command and give its output; LinkError with its words when it fails."""
    result = _run(argv)
    if result.returncode != 0:
        said = (result.stderr or result.stdout).strip()
        raise LinkError(f"`{' '.join(argv)}` failed: {said or f'status {result.returncode}'}")
    return result.stdout


def run_all(commands: Iterable[Sequence[str]]) -> None:
    """Run commands in order, up to the first that fails."""
    for argv in commands:
        run(argv)


def succeeds(argv: Sequence[str]) -> bool:
    """Tell whether a command ends with status 0."""
    try:
        return _run(argv).returncode == 0
    except LinkError:
        return False


def run_json(argv: Sequence[str]) -> Any:
    """Run a command that prints JSON, and decode it."""
    output = run(argv).strip()
    return msgspec.json.decode(output) if output else []


def has_interface(name: str) -> bool:
    """Ask this network namespace, which /sys may not show, for an interface of that name."""
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


@functools.cache
def has_netem() -> bool:
    """Ask the kernel for netem, in a namespace of its own that vanishes with the question.

    The kernel loads the module by itself where it exists.
    """
    return succeeds(("unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"))


def find_interface(address: str) -> str | None:
    """Give the name of the interface that has an address; None when none has."""
    for entry in run_json(("ip", "-j", "-4", "address", "show")):
        if any(info.get("local") == address for info in entry.get("addr_info", ())):
            return str(entry["ifname"])
    return None


def interface_of(address: str) -> str:
    """Give the name of the interface that has an address; LinkError when none has."""
    interface = find_interface(address)
    if interface is None:
        raise LinkError(f"no interface of this device has the address {address}; check its data_address")
    return interface


def _run(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    program = shutil.which(argv[0], path=_SEARCH)
    if program is None:
        raise LinkError(f"the program `{argv[0]}` is not installed; install iproute2 and util-linux")
    try:
        return subprocess.run(
            [program, *argv[1:]],
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
            env={**os.environ, "PATH": _SEARCH},
        )
    except subprocess.TimeoutExpired:
        raise LinkError(f"`{' '.join(argv)}` did not end within {_TIMEOUT_S:g} s") from None
