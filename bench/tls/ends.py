"""The two processes, and how they come to talk; ``python -m bench.tls.ends FOLDER`` is the called one.

It prints the ports that it listens on, in the clear and under TLS, and serves until its input ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from bench.payloads.serving import Server
from bench.testbed import PROJECT, last_json
from stage_runtime.private_files import read_secret
from stage_runtime.stage.door import Door
from stage_runtime.stage.gate import Gate
from stage_runtime.transports.base import Stream
from stage_runtime.transports.tcp import TcpListener, TcpTransport
from stage_runtime.transports.tls import Tls
from stage_runtime.wire.channel import Channel
from sweep.certificates import new_certificates
from sweep.secret import new_secret, tls_files
from sweep.testbed import Device

HERE = "127.0.0.1"
How = Literal["clear", "tls"]
_ACCEPT_S = 0.5


class Called(NamedTuple):
    """The called process: its number, and how to get in, each way."""

    pid: int
    ports: dict[How, int]
    gates: dict[How, Gate]

    def connect(self, how: How) -> Stream:
        """Make a connection as a stage does."""
        port = self.ports[how]
        return self.gates[how].enter(TcpTransport(HERE).connect(HERE, port, 10), HERE, port, 10)


@contextmanager
def called_process() -> Iterator[Called]:
    """Run the called process for the time of a ``with`` block; BenchError with what it said where it fails."""
    ends = [
        Device(name=name, kind="virtual", data_address=HERE, stage_port=0, home="", cpus=None, cores=())
        for name in ("caller", "called")
    ]
    with tempfile.TemporaryDirectory(prefix="splitbed-bench-") as made:
        folder = Path(made)
        with new_secret(folder) as secret, new_certificates(folder, ends) as place:
            process = subprocess.Popen(
                [sys.executable, "-m", "bench.tls.ends", str(secret), str(place)],
                cwd=PROJECT,
                env=os.environ | {"PYTHONPATH": str(PROJECT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            try:
                said = process.stdout.readline() if process.stdout is not None else ""
                yield Called(process.pid, last_json(said), _gates(secret, place, "caller"))
            finally:
                process.kill()
                process.communicate()


def _gates(secret_file: Path, place: Path, name: str) -> dict[How, Gate]:
    secret = read_secret(secret_file)
    return {"clear": Gate(secret), "tls": Gate(secret, Tls(tls_files(place, name)))}


def _serve(stream: Stream) -> None:
    """Carry out every order of one connection."""
    channel = Channel(stream)
    try:
        Server().serve(channel)
    finally:
        channel.close()


def _accept(listener: TcpListener, door: Door) -> None:
    while True:
        stream = listener.accept(_ACCEPT_S)
        if stream is not None:
            door.receive(stream)


def main() -> int:
    """Be the called process."""
    secret_file, place = map(Path, sys.argv[1:])
    listeners: dict[How, TcpListener] = {how: TcpTransport().listen(HERE, 0) for how in ("clear", "tls")}
    for how, gate in _gates(secret_file, place, "called").items():
        door = Door(gate, f"{HERE}:{listeners[how].port}", _serve)
        threading.Thread(target=_accept, args=(listeners[how], door), daemon=True).start()
    sys.stdout.write(json.dumps({how: listener.port for how, listener in listeners.items()}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)  # its threads wait for callers


if __name__ == "__main__":
    sys.exit(main())
