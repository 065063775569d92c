"""Send small datagrams between two hosts of one clock and say when each was sent and when it arrived.

This file is handed to ``python3 -c`` on the hosts, so it needs the standard library alone::

    receive ADDRESS PORT                     says `ready`; at the end of its input, JSON {number: arrival in ns}
    send SOURCE TARGET PORT COUNT BYTES GAP_US TAIL_S     JSON [when each was sent, in ns]

Arrivals are timed by the receiving kernel.  The sender waits TAIL_S after the last one, by the hosts' clock, for
what is still on its way.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time

_HEAD = struct.Struct("!I")
_STAMP = struct.Struct("@qq")
_SO_TIMESTAMPNS = 35
_SO_RCVBUFFORCE = 33
_BUFFER_BYTES = 64 << 20
# A shorter wait is not slept but spun: waking up takes about as long.
_SPIN_NS = 200_000


def receive(address: str, port: int) -> dict[int, int]:
    """Keep what arrives until the input ends, then read it all: nothing runs here while the stream is on its way."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        end.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        end.bind((address, port))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()
        end.settimeout(0)
        arrivals: dict[int, int] = {}
        while True:
            try:
                data, ancillary, _, _ = end.recvmsg(2048, 128)
            except BlockingIOError:
                return arrivals
            (number,) = _HEAD.unpack_from(data)
            seconds, nanoseconds = _STAMP.unpack_from(ancillary[0][2])
            arrivals[number] = seconds * 1_000_000_000 + nanoseconds


def send(source: str, target: tuple[str, int], *, count: int, size: int, gap_us: float, tail_s: float) -> list[int]:
    """Send ``count`` datagrams of ``size`` bytes, ``gap_us`` or more apart."""
    payload = bytearray(size)
    stamps = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.bind((source, 0))
        end.connect(target)
        due = time.monotonic_ns()
        for number in range(count):
            _HEAD.pack_into(payload, 0, number)
            left = due - time.monotonic_ns()
            if left > _SPIN_NS:
                time.sleep((left - _SPIN_NS) / 1e9)
            while time.monotonic_ns() < due:
                pass
            stamps.append(time.time_ns())
            due = time.monotonic_ns() + int(gap_us * 1000)
            end.send(payload)
    time.sleep(tail_s)
    return stamps


def main(words: list[str]) -> None:
    """Carry out one command."""
    if words[0] == "receive":
        result: object = receive(words[1], int(words[2]))
    else:
        source, target, port, count, size, gap_us, tail_s = words[1:]
        amounts = {"count": int(count), "size": int(size)}
        result = send(source, (target, int(port)), **amounts, gap_us=float(gap_us), tail_s=float(tail_s))
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
