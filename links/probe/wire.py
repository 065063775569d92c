"""What both ends of a probe share: the requests, and timed transfers over TCP and UDP.

Arrivals are timed by the receiving kernel (SO_TIMESTAMPNS), so that a receiver that waits for its
share of a processor does not blur the link's rate.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import Final

import msgspec

from stage_runtime.errors import LinkError

# operation, UDP port of the asking end, units (bytes over TCP, packets in a train)
_REQUEST: Final = struct.Struct("!cHQ")
_ARRIVALS: Final = struct.Struct("!QQQQQ")
PING: Final = b"P"
UPLOAD: Final = b"U"
DOWNLOAD: Final = b"D"
TRAIN_UP: Final = b"u"
TRAIN_DOWN: Final = b"d"
END: Final = b"E"
READY: Final = b"R"

MESSAGE_BYTES: Final = 65_536
MOST_BYTES: Final = 16 << 20
MOST_PACKETS: Final = 800
DATAGRAM_BYTES: Final = 1472
MESSAGE_PACKETS: Final = -(-MESSAGE_BYTES // DATAGRAM_BYTES)
TIMEOUT_S: Final = 15.0

_CHUNK: Final = 1 << 18
_BUFFER_BYTES: Final = 24 << 20
_SO_TIMESTAMPNS: Final = 35
_SO_SNDBUFFORCE: Final = 32
_SO_RCVBUFFORCE: Final = 33
_TIMESPEC: Final = struct.Struct("@qq")
_ANCILLARY_BYTES: Final = 128
_PAYLOAD: Final = bytes(_CHUNK)


class Arrivals(msgspec.Struct, frozen=True, kw_only=True):
    """When what was sent arrived: how many units in all, and at three instants of one clock.

    Over TCP a unit is a byte and ``mark`` the first read beyond a quarter of them; in a train it is a packet
    and ``mark`` is the last one of a message.
    """

    total: int
    mark: int
    first_ns: int
    mark_ns: int
    last_ns: int


def prepare_tcp(connection: socket.socket) -> None:
    """Set up a probe's connection (or listener): no delays, no early end of slow start, big buffers."""
    connection.settimeout(TIMEOUT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # cubic leaves slow start when the delay grows, which on a slow link is at once
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
    _prepare(connection)


def udp_socket(address: str, port: int) -> socket.socket:
    """Open a socket for trains; port 0 takes any."""
    train = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    train.settimeout(TIMEOUT_S)
    _prepare(train)
    train.bind((address, port))
    return train


def _prepare(any_socket: socket.socket) -> None:
    any_socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    options = ((_SO_SNDBUFFORCE, socket.SO_SNDBUF), (_SO_RCVBUFFORCE, socket.SO_RCVBUF))
    for forced, allowed in options:
        try:
            any_socket.setsockopt(socket.SOL_SOCKET, forced, _BUFFER_BYTES)
        except PermissionError:
            any_socket.setsockopt(socket.SOL_SOCKET, allowed, _BUFFER_BYTES)


def send_request(connection: socket.socket, operation: bytes, *, port: int = 0, units: int = 0) -> None:
    """Send one request."""
    connection.sendall(_REQUEST.pack(operation, port, units))


def receive_request(connection: socket.socket) -> tuple[bytes, int, int] | None:
    """Receive one request as (operation, port, units); None at the end of the connection."""
    data = _receive_exactly(connection, _REQUEST.size)
    return None if data is None else _REQUEST.unpack(data)


def expect(connection: socket.socket, operation: bytes) -> None:
    """Receive a request that must be ``operation``."""
    request = receive_request(connection)
    if request is None or request[0] != operation:
        raise LinkError(f"the probe's other end said {request!r} where {operation!r} was due; probe again")


def send_arrivals(connection: socket.socket, arrivals: Arrivals) -> None:
    """Tell the other end when its transfer arrived."""
    fields = (arrivals.total, arrivals.mark, arrivals.first_ns, arrivals.mark_ns, arrivals.last_ns)
    connection.sendall(_ARRIVALS.pack(*fields))


def receive_arrivals(connection: socket.socket) -> Arrivals:
    """Hear when a transfer arrived at the other end."""
    data = _receive_exactly(connection, _ARRIVALS.size)
    if data is None:
        raise LinkError("the probe's other end closed the connection in mid-probe; probe again")
    total, mark, first_ns, mark_ns, last_ns = _ARRIVALS.unpack(data)
    return Arrivals(total=total, mark=mark, first_ns=first_ns, mark_ns=mark_ns, last_ns=last_ns)


def send_bytes(connection: socket.socket, size: int) -> None:
    """Send ``size`` bytes of nothing."""
    view = memoryview(_PAYLOAD)
    while size > 0:
        size -= connection.send(view[: min(size, _CHUNK)])


def receive_bytes(connection: socket.socket, size: int) -> Arrivals:
    """Receive ``size`` bytes and time them."""
    buffer = bytearray(_CHUNK)
    total = mark = first_ns = mark_ns = last_ns = 0
    while total < size:
        window = memoryview(buffer)[: min(_CHUNK, size - total)]
        count, ancillary, _, _ = connection.recvmsg_into([window], _ANCILLARY_BYTES)
        if count == 0:
            raise LinkError(f"the probe's other end closed after {total} of {size} bytes; probe again")
        total += count
        last_ns = _arrival_ns(ancillary)
        first_ns = first_ns or last_ns
        if not mark and total * 4 >= size:
            mark, mark_ns = total, last_ns
    return Arrivals(total=total, mark=mark, first_ns=first_ns, mark_ns=mark_ns, last_ns=last_ns)


def send_train(train: socket.socket, to: tuple[str, int], packets: int) -> None:
    """Send a train of full-sized datagrams back to back."""
    payload = bytes(DATAGRAM_BYTES)
    for _ in range(packets):
        train.sendto(payload, to)


def drain(train: socket.socket) -> None:
    """Forget datagrams of an earlier train."""
    _read_train(train, [])


def receive_train(train: socket.socket, connection: socket.socket, sender: str) -> Arrivals:
    """Receive a train from ``sender``; its end is an END on the connection, behind it on the same link."""
    expect(connection, END)
    times: list[int] = []
    _read_train(train, times, sender)
    times.sort()
    if len(times) <= MESSAGE_PACKETS:
        raise LinkError(
            f"{len(times)} packets of a train from {sender} arrived; the probe needs more than "
            f"{MESSAGE_PACKETS}: is UDP on the probe port let through?"
        )
    mark = MESSAGE_PACKETS
    return Arrivals(total=len(times), mark=mark, first_ns=times[0], mark_ns=times[mark - 1], last_ns=times[-1])


def _read_train(train: socket.socket, times: list[int], sender: str | None = None) -> None:
    """Read all that has arrived; the socket's buffer holds a whole train."""
    train.settimeout(0)
    buffer = bytearray(DATAGRAM_BYTES)
    try:
        while True:
            _, ancillary, _, origin = train.recvmsg_into([buffer], _ANCILLARY_BYTES)
            if origin[0] == sender:
                times.append(_arrival_ns(ancillary))
    except BlockingIOError:
        return
    finally:
        train.settimeout(TIMEOUT_S)


def _arrival_ns(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return int(seconds * 1_000_000_000 + nanoseconds)
    return time.time_ns()


def _receive_exactly(connection: socket.socket, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            return None
        data += chunk
    return bytes(data)
