"""The answering end of a probe: a short-lived server on a device's data address."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterator

from links.probe import wire
from stage_runtime.errors import SplitbedError

_LOG = logging.getLogger(__name__)
IDLE_S = 60.0
# A probe of the slowest link that anybody emulates is over by then.
CONNECTION_S = 300.0
LIFE_S = 3600.0
_KEEP_WITHIN_S = 5.0
_RETRY_S = 0.05


def listen_or_keep(address: str, port: int) -> socket.socket | None:
    """Listen for probes, or see to it that the server that listens already waits its whole idle time anew.

    A server that was there may have been about to end: only one that answered counts.  None as well when
    somebody else has the port; the probe will say that nobody answers.
    """
    deadline = time.monotonic() + _KEEP_WITHIN_S
    while True:
        listener = listen(address, port)
        if listener is not None or _answers(address, port) or time.monotonic() > deadline:
            return listener
        time.sleep(_RETRY_S)


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=_KEEP_WITHIN_S) as connection:
            wire.send_request(connection, wire.PING)
            wire.expect(connection, wire.PING)
    except (OSError, SplitbedError):
        return False
    return True


def listen(address: str, port: int) -> socket.socket | None:
    """Listen for probes; None when a probe server (or anybody) is there already."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    wire.prepare_tcp(listener)
    try:
        listener.bind((address, port))
    except OSError as error:
        listener.close()
        _LOG.info("%s:%d is taken (%s)", address, port, error)
        return None
    listener.listen(8)
    return listener


def serve(
    listener: socket.socket, idle_s: float = IDLE_S, connection_s: float = CONNECTION_S, life_s: float = LIFE_S
) -> None:
    """Answer probes, one connection after the other, until none came for ``idle_s``.

    Whoever asks, a connection ends after ``connection_s``, and the server within one more after ``life_s``.
    """
    address, port = listener.getsockname()
    listener.settimeout(idle_s)
    end = time.monotonic() + life_s
    with listener, wire.udp_socket(address, port) as train:
        while time.monotonic() < end:
            try:
                connection, (peer, _) = listener.accept()
            except TimeoutError:
                return
            with connection, _broken_off_after(connection, connection_s):
                wire.prepare_tcp(connection)
                try:
                    _answer(connection, train, peer)
                except (OSError, SplitbedError) as error:
                    _LOG.warning("a probe from %s broke off: %s", peer, error)


@contextlib.contextmanager
def _broken_off_after(connection: socket.socket, seconds: float) -> Iterator[None]:
    def break_off() -> None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, break_off)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _answer(connection: socket.socket, train: socket.socket, peer: str) -> None:
    """Answer one connection's requests; every size is bounded before anything is sent."""
    while (request := wire.receive_request(connection)) is not None:
        operation, port, units = request
        if operation == wire.PING:
            wire.send_request(connection, wire.PING)
        elif operation == wire.UPLOAD:
            arrivals = wire.receive_bytes(connection, min(units, wire.MOST_BYTES))
            wire.send_arrivals(connection, arrivals)
        elif operation == wire.DOWNLOAD:
            wire.send_bytes(connection, min(units, wire.MOST_BYTES))
        elif operation == wire.TRAIN_UP:
            wire.drain(train)
            wire.send_request(connection, wire.READY)
            wire.send_arrivals(connection, wire.receive_train(train, connection, peer))
        elif operation == wire.TRAIN_DOWN:
            wire.send_train(train, (peer, port), min(units, wire.MOST_PACKETS))
            wire.send_request(connection, wire.END)
        else:
            _LOG.warning("%s asked for %r, which no probe does", peer, operation)
            return
