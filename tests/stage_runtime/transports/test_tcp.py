"""What the TCP streams do beyond what every transport promises: reading ahead, waiting, bounded room."""

from __future__ import annotations

import re
import resource
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from stage_runtime.errors import TransportError, TransportTimeoutError
from stage_runtime.transports import tcp
from stage_runtime.transports.tcp import TcpStream, TcpTransport

MARK = tcp._MARK_BYTES
AHEAD = tcp._AHEAD_BYTES
Ends = tuple[TcpStream, TcpStream]


@pytest.fixture
def ends() -> Iterator[Ends]:
    listener = TcpTransport().listen("127.0.0.1", 0)
    caller = TcpTransport().connect("127.0.0.1", listener.port, 5)
    called = listener.accept(5)
    listener.close()
    assert isinstance(called, TcpStream)
    yield caller, called
    caller.close()
    called.close()


def receive(stream: TcpStream, count: int, timeout_s: float = 20) -> bytes:
    buffer = bytearray(count)
    stream.receive_into(memoryview(buffer), timeout_s)
    return bytes(buffer)


def pattern(count: int) -> bytes:
    return (bytes(range(251)) * (count // 251 + 1))[:count]


@pytest.mark.parametrize(
    "parts", [[32, 18, 4096], [32, 18, AHEAD - 50], [AHEAD, 1], [1] * 40, [AHEAD - 1, AHEAD + 1, 7]]
)
def test_what_was_read_ahead_is_given_in_order(ends: Ends, parts: list[int]) -> None:
    content = pattern(sum(parts))
    ends[0].send([memoryview(content)], 5)
    assert b"".join(receive(ends[1], count) for count in parts) == content
    assert ends[1].is_quiet()


def test_a_stream_with_something_read_ahead_is_not_quiet(ends: Ends) -> None:
    ends[0].send([memoryview(b"headbody")], 5)
    assert receive(ends[1], 4) == b"head"
    assert not ends[1].is_quiet()
    assert receive(ends[1], 4) == b"body"
    assert ends[1].is_quiet()


def test_what_was_read_ahead_outlives_the_connection(ends: Ends) -> None:
    ends[0].send([memoryview(b"headbody")], 5)
    assert receive(ends[1], 4) == b"head"
    ends[0].close()
    assert receive(ends[1], 4) == b"body"
    with pytest.raises(TransportError, match="closed the connection"):
        receive(ends[1], 1)


@pytest.mark.parametrize("total", [4 * MARK - 1, 4 * MARK, 4 * MARK + 1, 5 * MARK - 1, 9 * MARK + 12_345])
@pytest.mark.parametrize("piece", [3_000, 50_000, MARK, MARK + 1])
def test_a_long_payload_arrives_whatever_its_pieces(ends: Ends, total: int, piece: int) -> None:
    content = pattern(total)

    def dribble() -> None:
        for begin in range(0, total, piece):
            ends[0].send([memoryview(content)[begin : begin + piece]], 20)

    sender = threading.Thread(target=dribble)
    sender.start()
    got = receive(ends[1], total)
    sender.join()
    assert got == content


def test_a_long_payload_that_stops_coming_times_out_with_what_came(ends: Ends) -> None:
    ends[0].send([memoryview(pattern(3 * MARK))], 5)
    with pytest.raises(TransportTimeoutError, match=rf"sent \d+ of {8 * MARK} bytes"):
        receive(ends[1], 8 * MARK, 0.2)


def test_a_long_payload_that_ends_early_is_an_error(ends: Ends) -> None:
    ends[0].send([memoryview(pattern(3 * MARK))], 5)
    ends[0].close()
    with pytest.raises(TransportError, match="closed the connection"):
        receive(ends[1], 8 * MARK)


def test_a_receiver_of_a_long_payload_is_woken_less_often_than_segments_come(ends: Ends) -> None:
    pieces, size = 160, 16_384
    content = pattern(size)

    def dribble() -> None:
        for _ in range(pieces):
            ends[0].send([memoryview(content)], 20)
            time.sleep(0.001)  # so that a receiver that is woken for each segment has gone back to sleep

    woken: list[int] = []

    def take() -> None:
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        receive(ends[1], pieces * size)
        woken.append(resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before)

    threads = [threading.Thread(target=work) for work in (take, dribble)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert woken[0] < pieces / 2


def taken(stream: TcpStream, count: int) -> int:
    """Give how much the kernel takes of what nobody reads."""
    with pytest.raises(TransportTimeoutError) as failed:
        stream.send([memoryview(bytes(count))], 0.3)
    found = re.search(r"took (\d+) of", str(failed.value))
    assert found is not None
    return int(found.group(1))


def test_a_stream_holds_about_the_room_that_it_was_given(ends: Ends) -> None:
    room = 256 * 1024
    for end in ends:
        end.make_room(room, 10**9)
    assert room / 2 < taken(ends[0], 64 * 2**20) < 5 * room


def test_more_room_holds_more(ends: Ends) -> None:
    for end in ends:
        end.make_room(2 * 2**20, 10**9)
    assert taken(ends[0], 64 * 2**20) > 2 * 2**20


def test_a_peer_that_reads_nothing_for_long_keeps_its_connection(ends: Ends) -> None:
    for end in ends:
        # with a limit the kernel ends a connection whose other end lives and has no room: one that computes for long
        assert end._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 0
        assert end._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_room_that_the_kernel_does_not_grant_leaves_its_own_sizing(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    before = ends[0]._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    monkeypatch.setattr(tcp, "_may_send_from", lambda _: False)
    ends[0].make_room(1024, 10**9)
    assert ends[0]._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == before


def test_the_kernel_is_asked_for_what_it_grants() -> None:
    assert tcp._may_send_from(65_536)
    assert not tcp._may_send_from(2**40 // 1024 - 2)


def test_waits_that_change_from_frame_to_frame_rarely_cost_a_system_call(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    monkeypatch.setattr(tcp, "_timeval", lambda seconds: asked.append(seconds) or struct.pack("@ll", 60, 0))
    for number in range(50):
        ends[0].send([memoryview(bytes(100))], 100.0 - number / 10)
        receive(ends[1], 100, 600_000.0 if number % 2 else 100.0 - number / 10)
    assert len(asked) <= 4


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])  # noqa: S104  (to see them refused)
def test_nobody_listens_on_every_address(address: str) -> None:
    with pytest.raises(TransportError, match="every address of this device; give data_address"):
        TcpTransport().listen(address, 0)


@pytest.mark.parametrize("sure", [1, 8 * MARK])
def test_what_came_is_given_at_once_when_no_more_comes(ends: Ends, sure: int) -> None:
    ends[0].send([memoryview(b"headbody")], 5)
    assert receive(ends[1], 4) == b"head"
    buffer = memoryview(bytearray(MARK))
    assert ends[1].receive_what_came(buffer, sure, 5) == 4
    assert buffer[:4] == b"body"
    with pytest.raises(TransportTimeoutError, match="sent 0 of"):
        ends[1].receive_what_came(buffer, sure, 0.1)
    ends[0].send([memoryview(b"tail")], 5)
    ends[0].close()
    assert ends[1].receive_what_came(buffer, sure, 5) == 4
    with pytest.raises(TransportError, match="closed the connection"):
        ends[1].receive_what_came(buffer, sure, 5)


def test_of_much_that_is_sure_to_come_a_good_part_is_awaited(ends: Ends) -> None:
    content = memoryview(pattern(2 * MARK))

    def dribble() -> None:
        for begin in range(0, 2 * MARK, MARK // 8):
            ends[0].send([content[begin : begin + MARK // 8]], 20)
            time.sleep(0.002)

    sender = threading.Thread(target=dribble)
    sender.start()
    buffer = memoryview(bytearray(4 * MARK))
    assert ends[1].receive_what_came(buffer, 8 * MARK, 20) >= MARK
    sender.join()
