"""What it costs that TCP begins slowly again after idle times: ``python -m bench.payloads.idle serve|drive CONFIG``.

Both settings of ``net.ipv4.tcp_slow_start_after_idle`` in turn, over bare sockets, so that the kernel's part is all
there is: a message, a byte back, then a pause.  The driving end changes the setting in its own network namespace
and puts it back; it needs root there.
"""

from __future__ import annotations

import contextlib
import random
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.payloads.results import IdleTime
from bench.payloads.yardsticks import TIMEOUT_S, bare_connection, take_exactly
from bench.testbed import BenchError

_SETTING = Path("/proc/sys/net/ipv4/tcp_slow_start_after_idle")
_TRY_FOR_S = 30.0


class IdleConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What both ends are told; ``congestion`` names the ways of congestion control to try, those there are."""

    address: str
    port: int
    message_bytes: int
    idle_s: float
    times: int
    congestion: tuple[str, ...]
    seed: int


def serve(config: IdleConfig) -> None:
    """Answer every message of as many connections as there may be with a byte, until nobody connects any more."""
    with socket.create_server((config.address, config.port)) as listening:
        for _ in config.congestion:
            listening.settimeout(_TRY_FOR_S)
            with contextlib.suppress(BenchError), listening.accept()[0] as connection:
                connection.settimeout(None)
                _answer(connection, config.message_bytes)


def _answer(connection: socket.socket, size: int) -> None:
    buffer = memoryview(bytearray(size))
    while True:
        take_exactly(connection, buffer)
        connection.sendall(b"!")


def drive(config: IdleConfig) -> list[IdleTime]:
    """Measure with slow start after idle times on and off, in turn."""
    with _kept_setting():
        found: list[IdleTime] = []
        for congestion in config.congestion:
            with _connect(config) as connection:
                try:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
                except OSError:
                    continue  # this kernel has it not, or not for everybody
                found += _measure(config, connection, congestion)
        return found


def _connect(config: IdleConfig) -> socket.socket:
    end = time.monotonic() + _TRY_FOR_S
    while True:
        try:
            return bare_connection(config.address, config.port)
        except OSError as exc:
            if time.monotonic() > end:
                raise BenchError(f"cannot connect to {config.address}:{config.port}: {exc}") from exc
            time.sleep(0.1)


def _measure(config: IdleConfig, connection: socket.socket, congestion: str) -> Iterator[IdleTime]:
    message, back = bytes(config.message_bytes), memoryview(bytearray(1))
    rng = random.Random(config.seed)  # noqa: S311  (an order)
    connection.settimeout(TIMEOUT_S)
    for _ in range(3):  # the connection learns what the link holds
        connection.sendall(message)
        take_exactly(connection, back)
    for _ in range(config.times):
        for slow_start in rng.sample((True, False), 2):
            _SETTING.write_text(f"{int(slow_start)}\n")
            time.sleep(config.idle_s)
            begin = time.perf_counter_ns()
            connection.sendall(message)
            take_exactly(connection, back)
            ms = (time.perf_counter_ns() - begin) / 1e6
            yield IdleTime(
                congestion=congestion,
                slow_start=slow_start,
                message_bytes=config.message_bytes,
                idle_s=config.idle_s,
                ms=ms,
            )


@contextlib.contextmanager
def _kept_setting() -> Iterator[None]:
    before = _SETTING.read_text()
    try:
        yield
    finally:
        _SETTING.write_text(before)


def main() -> int:
    """Run one end."""
    role, told = sys.argv[1:]
    config = msgspec.json.decode(told, type=IdleConfig)
    try:
        if role == "serve":
            serve(config)
        else:
            sys.stdout.write(msgspec.json.encode(drive(config)).decode() + "\n")
    except (OSError, BenchError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
