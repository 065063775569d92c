"""Who is let in, how many at once, and what a stranger costs."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from stage_runtime.errors import TransportError
from stage_runtime.stage import door as door_module
from stage_runtime.stage import gate as gate_module
from stage_runtime.stage.door import MOST_GREETINGS_EACH, MOST_NEIGHBOURS, Door
from stage_runtime.stage.gate import Gate
from stage_runtime.transports.base import Stream
from stage_runtime.transports.memory import memory_pair
from stage_runtime.transports.tcp import TcpTransport

SECRET = b"0123456789abcdef"


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


class House:
    """A door on a loopback port, and those whom it let in."""

    def __init__(self) -> None:
        self.inside: list[Stream] = []
        self.leave = threading.Event()
        self._listener = TcpTransport().listen("127.0.0.1", 0)
        self.port = self._listener.port
        self._door = Door(Gate(SECRET), f"127.0.0.1:{self.port}", self._serve)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _serve(self, stream: Stream) -> None:
        self.inside.append(stream)
        self.leave.wait(60)
        stream.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            stream = self._listener.accept(0.05)
            if stream is not None:
                self._door.receive(stream)

    def call(self, secret: bytes = SECRET) -> Stream:
        stream = TcpTransport().connect("127.0.0.1", self.port, 5)
        try:
            return Gate(secret).enter(stream, "127.0.0.1", self.port, 10)
        except TransportError:
            stream.close()
            raise

    def stranger(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 5, (source, 0))

    def close(self) -> None:
        self._over.set()
        self.leave.set()
        self._thread.join()
        self._listener.close()


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.close()


def is_closed(connection: socket.socket) -> bool:
    """Read what comes until the other side closes."""
    connection.settimeout(10)
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(4096):
            pass
    return True


def test_a_neighbour_is_let_in(house: House) -> None:
    stream = house.call()
    assert within(10, lambda: len(house.inside) == 1)
    stream.close()


def test_strangers_of_one_address_leave_room_for_others(house: House) -> None:
    silent = [house.stranger("127.0.0.2") for _ in range(MOST_GREETINGS_EACH)]
    assert all(one.recv(1) for one in silent), "they are greeted"
    refused = house.stranger("127.0.0.2")
    assert refused.recv(1) == b"", "it is closed, not greeted"
    stream = house.call()
    assert within(10, lambda: len(house.inside) == 1)
    for one in (*silent, refused, stream):
        one.close()


def test_strangers_of_many_addresses_take_sixteen_places_and_no_more(house: House) -> None:
    silent = [house.stranger(f"127.0.0.{number}") for number in range(2, 6) for _ in range(4)]
    assert all(one.recv(1) for one in silent), "they are greeted"
    refused = house.stranger("127.0.0.6")
    assert refused.recv(1) == b"", "it is closed, not greeted"
    for one in (*silent, refused):
        one.close()


def test_a_stranger_who_says_nothing_or_too_little_is_put_out_in_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_module, "_FIRST_BYTE_S", 0.3)
    monkeypatch.setattr(gate_module, "_GREETING_S", 1.0)
    silent, slow = house.stranger(), house.stranger()
    slow.sendall(b"SBH1" + bytes(60))
    begin = time.monotonic()
    assert is_closed(silent)
    assert time.monotonic() - begin < 5
    assert is_closed(slow)
    assert time.monotonic() - begin < 5
    for one in (silent, slow):
        one.close()


def test_bytes_that_drip_do_not_move_the_deadline(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "_GREETING_S", 0.5)
    dripping = house.stranger()
    begin = time.monotonic()
    with contextlib.suppress(OSError):
        for byte in b"SBH1" + bytes(64):
            dripping.sendall(bytes([byte]))
            time.sleep(0.05)
    assert is_closed(dripping)
    assert time.monotonic() - begin < 10
    assert not house.inside
    dripping.close()


@pytest.mark.parametrize(
    "begin", [b"GET / HTTP/1.1\r\n\r\n", b"SBW1", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"SBH1"]
)
def test_what_a_stranger_sends_takes_no_memory(house: House, begin: bytes) -> None:
    """Even tens of megabytes of it, with every length in it at its greatest."""
    house.call().close()  # whatever is made once has been made
    flood = begin + b"\xff" * (4 * 2**20)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(5):
            one = house.stranger()
            with contextlib.suppress(OSError):
                one.sendall(flood)
            with contextlib.suppress(OSError):
                is_closed(one)
            one.close()
        most = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    # a stream's own 8 KiB and what a thread takes, of which a few may not have ended yet
    assert most < 100_000
    stream = house.call()
    assert within(10, lambda: len(house.inside) == 2)
    stream.close()


def test_so_many_neighbours_and_no_more(house: House) -> None:
    streams = [house.call() for _ in range(MOST_NEIGHBOURS)]
    assert within(20, lambda: len(house.inside) == MOST_NEIGHBOURS)
    with pytest.raises(TransportError):
        house.call()
    house.leave.set()
    assert within(20, lambda: calls(house))
    for stream in streams:
        stream.close()


def calls(house: House) -> bool:
    try:
        house.call().close()
    except TransportError:
        return False
    return True


def test_strangers_do_not_fill_the_log(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(30):
            one = house.stranger()
            one.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert is_closed(one)
            one.close()
        lines = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
        assert 1 <= len(lines) <= 2
        assert "127.0.0.1" in lines[0]
        assert "is no stage: it answers with b'GET '" in lines[0]
        monkeypatch.setattr(door_module, "_COMPLAIN_EVERY_S", 0.0)
        one = house.stranger()
        one.sendall(b"GET /")
        assert is_closed(one)
        one.close()
        assert within(5, lambda: "others since the last such line" in caplog.text)


def test_a_door_greets_streams_of_any_transport() -> None:
    near, far = memory_pair()
    inside = threading.Event()

    def serve(stream: Stream) -> None:
        inside.set()
        stream.close()

    Door(Gate(SECRET), "anywhere:1", serve).receive(near)
    Gate(SECRET).enter(far, "anywhere", 1, 5)
    assert inside.wait(5)
    far.close()
