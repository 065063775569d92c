"""What the transports are held against: iperf3, and a ping-pong over bare blocking sockets."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time

from bench.testbed import BenchError

_TRY_FOR_S = 10.0
_END_WITHIN_S = 60.0
# iperf3 leaves so many whole seconds at its beginning out of its figure.
_OMIT_S = 1
TIMEOUT_S = 60.0


def start_iperf(address: str, port: int) -> subprocess.Popen[bytes]:
    """Let iperf3 listen for one test; BenchError where it is not installed."""
    return subprocess.Popen(
        [_iperf(), "--server", "--one-off", "--bind", address, "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def measure_iperf(address: str, port: int, seconds: float) -> float:
    """Run one test to a listening iperf3 and give the rate that it received, in 10⁶ bits per second."""
    words = [_iperf(), "--client", address, "--port", str(port), "--json"]
    words += ["--time", f"{max(1, round(seconds))}", "--omit", f"{_OMIT_S}"]
    end = time.monotonic() + _TRY_FOR_S
    while True:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=seconds + _END_WITHIN_S)
        # with --json it may end with status 0 although nobody listens yet, and says so in the JSON alone
        if "Connection refused" not in done.stdout or time.monotonic() > end:
            break
        time.sleep(0.1)
    if done.returncode:
        raise BenchError(f"iperf3 to {address}:{port} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return parse_iperf(done.stdout)


def parse_iperf(said: str) -> float:
    """Read the received rate off iperf3's JSON, in 10⁶ bits per second."""
    try:
        return float(json.loads(said)["end"]["sum_received"]["bits_per_second"]) / 1e6
    except (ValueError, KeyError, TypeError) as exc:
        raise BenchError(f"iperf3 printed no received rate: {said.strip() or 'nothing'}") from exc


def _iperf() -> str:
    found = shutil.which("iperf3")
    if found is None:
        raise BenchError("iperf3 is not installed; make setup-dev installs it, or: apt-get install iperf3")
    return found


def bare_connection(address: str, port: int) -> socket.socket:
    """Connect a blocking socket that sends at once."""
    connection = socket.create_connection((address, port), TIMEOUT_S)
    connection.settimeout(None)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def bare_pings(connection: socket.socket, payload: memoryview, count: int) -> list[int]:
    """Send a payload there and back ``count`` times; give each time in nanoseconds."""
    answer = memoryview(bytearray(payload.nbytes))
    times = []
    for _ in range(count):
        begin = time.perf_counter_ns()
        connection.sendall(payload)
        take_exactly(connection, answer)
        times.append(time.perf_counter_ns() - begin)
    return times


def bare_pongs(connection: socket.socket, size: int, count: int) -> None:
    """Send back what comes."""
    payload = memoryview(bytearray(size))
    for _ in range(count):
        take_exactly(connection, payload)
        connection.sendall(payload)


def take_exactly(connection: socket.socket, buffer: memoryview) -> None:
    """Fill a buffer from a bare socket; BenchError where the other end is gone."""
    filled = 0
    while filled < buffer.nbytes:
        count = connection.recv_into(buffer[filled:], 0, socket.MSG_WAITALL)
        if count == 0:
            raise BenchError(f"the other end of a bare connection closed it after {filled} of {buffer.nbytes} bytes")
        filled += count
