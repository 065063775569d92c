"""What every transport promises, asked of each of them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.distributed import rpc

from stage_runtime.errors import TransportError, TransportTimeoutError
from stage_runtime.formats.stage_config import WorldConfig, WorldMember
from stage_runtime.stage.world import World
from stage_runtime.transports.base import Listener, Stream, Transport
from stage_runtime.transports.memory import MemoryTransport
from stage_runtime.transports.rpc import stream as rpc_stream
from stage_runtime.transports.rpc.calls import OUTBOX, TABLES
from stage_runtime.transports.rpc.pieces import MOST_OF_A_BUFFER, cut, part_bytes
from stage_runtime.transports.rpc.stream import RpcStream
from stage_runtime.transports.tcp import TcpListener, TcpTransport
from tests.stage_runtime.stage.processes import free_port

Ends = tuple[Stream, Stream]


def listen(transport: Transport) -> tuple[Listener, int]:
    listener = transport.listen("127.0.0.1", 0)
    return listener, listener.port if isinstance(listener, TcpListener) else 0


@pytest.fixture(params=["tcp", "memory", "rpc"])
def transport(request: pytest.FixtureRequest) -> Transport:
    if request.param == "rpc":
        made: Transport = request.getfixturevalue("own_world")
        return made
    return TcpTransport() if request.param == "tcp" else MemoryTransport()


@pytest.fixture(scope="module")
def own_world() -> Iterator[Transport]:
    """Join a world whose only member is this process: calls to itself take the same way as any."""
    member = WorldMember(device="here", address="127.0.0.1", port=0)
    world = World(WorldConfig(id="test", members=(member,), store_port=free_port("127.0.0.1")), "here")
    listener = world.join()
    assert listener is not None, world.status()
    listener.close()  # the tests make their own
    yield world.transport()
    rpc.shutdown()


@pytest.fixture
def ends(transport: Transport) -> Iterator[Ends]:
    listener, port = listen(transport)
    caller = transport.connect("127.0.0.1", port, 5)
    called = listener.accept(5)
    listener.close()
    assert called is not None
    yield caller, called
    caller.close()
    called.close()


def receive(stream: Stream, count: int, timeout_s: float = 5) -> bytes:
    buffer = bytearray(count)
    stream.receive_into(memoryview(buffer), timeout_s)
    return bytes(buffer)


def test_buffers_arrive_whole_and_in_order(ends: Ends) -> None:
    one, other = ends
    one.send([memoryview(b"ab"), memoryview(b""), memoryview(b"cde")], 5)
    assert receive(other, 5) == b"abcde"


def test_both_directions_carry_more_than_they_hold_at_once(ends: Ends) -> None:
    there, back = bytes(range(256)) * 40_000, bytes(reversed(range(256))) * 40_000
    with ThreadPoolExecutor(4) as pool:
        results = [
            pool.submit(ends[0].send, [memoryview(there)[:100], memoryview(there)[100:]], 30),
            pool.submit(ends[1].send, [memoryview(back)], 30),
            pool.submit(receive, ends[1], len(there), 30),
            pool.submit(receive, ends[0], len(back), 30),
        ]
        assert results[2].result() == there
        assert results[3].result() == back
        assert results[0].result() is results[1].result() is None


def test_messages_longer_than_the_room_arrive(ends: Ends) -> None:
    content = bytes(range(256)) * 8_000
    for end in ends:
        end.make_room(300_000, 10**9)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(ends[0].send, [memoryview(content)], 30)
        assert receive(ends[1], len(content), 30) == content
        sending.result()


def test_a_silent_peer_times_out(ends: Ends) -> None:
    ends[1].send([memoryview(b"1234")], 5)
    with pytest.raises(TransportTimeoutError):
        receive(ends[0], 5, 0.05)


def test_a_peer_that_takes_nothing_times_out(ends: Ends) -> None:
    with pytest.raises(TransportTimeoutError):
        ends[0].send([memoryview(bytes(64 * 2**20))], 0.2)


def test_what_was_sent_before_a_close_arrives_then_the_end(ends: Ends) -> None:
    ends[0].send([memoryview(b"last words")], 5)
    ends[0].close()
    assert receive(ends[1], 10) == b"last words"
    with pytest.raises(TransportError, match="closed the connection"):
        receive(ends[1], 1)


def test_abort_wakes_a_blocked_receiver_and_a_blocked_sender(ends: Ends) -> None:
    with ThreadPoolExecutor(2) as pool:
        receiving = pool.submit(receive, ends[0], 1, 60)
        sending = pool.submit(ends[0].send, [memoryview(bytes(64 * 2**20))], 60)
        ends[0].abort()
        for future in (receiving, sending):
            error = future.exception(timeout=30)
            assert isinstance(error, TransportError)
            assert not isinstance(error, TransportTimeoutError)


def test_a_stream_is_quiet_only_while_open_and_empty(ends: Ends) -> None:
    assert ends[0].is_quiet()
    ends[1].send([memoryview(b"x")], 5)
    wait_loud(ends[0])
    receive(ends[0], 1)
    assert ends[0].is_quiet()
    ends[1].close()
    wait_loud(ends[0])


def wait_loud(stream: Stream) -> None:
    end = time.monotonic() + 10
    while stream.is_quiet():
        assert time.monotonic() < end, "nothing ever arrived"
        time.sleep(0.001)


def test_nobody_listening_is_named(transport: Transport) -> None:
    listener, port = listen(transport)
    listener.close()
    with pytest.raises(TransportError, match=rf"cannot connect to 127\.0\.0\.1:{port}"):
        transport.connect("127.0.0.1", port, 1)


def test_accept_gives_up_in_time(transport: Transport) -> None:
    listener, _ = listen(transport)
    assert listener.accept(0.01) is None
    listener.close()
    with pytest.raises(TransportError):
        listener.accept(0.01)


def test_a_port_in_use_is_named(transport: Transport) -> None:
    listener, port = listen(transport)
    with pytest.raises(TransportError, match=rf"cannot listen on 127\.0\.0\.1:{port}: .*in use"):
        transport.listen("127.0.0.1", port)
    listener.close()


def test_rpc_forgets_streams_that_are_closed(own_world: Transport) -> None:
    listener, port = listen(own_world)
    for _ in range(3):
        caller = own_world.connect("127.0.0.1", port, 5)
        called = listener.accept(5)
        assert called is not None
        assert len(TABLES._streams) == 2
        caller.send([memoryview(bytes(10_000))], 5)
        caller.close()
        called.close()
    listener.close()
    assert TABLES._streams == TABLES._listeners == {}


def test_rpc_connects_to_members_alone(own_world: Transport) -> None:
    with pytest.raises(TransportError, match=r"192\.0\.2\.1:47300: it is no member of this stage's RPC world"):
        own_world.connect("192.0.2.1", 47300, 1)


def test_rpc_puts_frames_in_order_and_answers_when_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OUTBOX, "call", lambda *_: None)  # nobody is at the other end
    stream = RpcStream((0, 99, "caller"), (0, 99, "called"), "peer", 0)
    answers: list[torch.futures.Future[bool]] = [torch.futures.Future() for _ in range(3)]
    large = torch.full((20 * 2**20,), 7, dtype=torch.uint8)
    stream.take(1, (large, b"end"), answers[1])
    assert not answers[1].done()
    with pytest.raises(TransportTimeoutError):
        receive(stream, 1, 0.01)
    stream.take(0, (b"begin",), answers[0])
    assert receive(stream, 5) == b"begin"
    assert receive(stream, large.nbytes) == large.numpy().tobytes()
    assert not answers[1].done()
    assert receive(stream, 3) == b"end"
    assert answers[0].wait() is answers[1].wait() is True
    stream.take(2, (large,), answers[2])
    TABLES.remove((0, 99, "caller"))


def test_rpc_takes_whatever_comes_for_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OUTBOX, "call", lambda *_: None)  # a peer whose answer stands behind a long frame
    monkeypatch.setattr(rpc_stream, "_ASK_AFTER_S", 0.01)
    monkeypatch.setattr(rpc_stream, "_SILENT_PEER_S", 0.5)
    stream = RpcStream((0, 98, "caller"), (0, 98, "called"), "peer", 0)
    stop = threading.Event()

    def send_slowly() -> None:
        number = 0
        while not stop.wait(0.05):
            stream.take(number, (b"part",), torch.futures.Future())
            number += 1

    sender = threading.Thread(target=send_slowly)
    sender.start()
    try:
        assert receive(stream, 80, 30) == b"part" * 20  # a second's worth, twice the limit
    finally:
        stop.set()
        sender.join()
    with pytest.raises(TransportTimeoutError, match="peer answers no more"):
        receive(stream, 10_000, 30)
    TABLES.remove((0, 98, "caller"))


@pytest.mark.parametrize("sizes", [[0], [1, 0, 5], [MOST_OF_A_BUFFER], [3, MOST_OF_A_BUFFER + 1, 2 * MOST_OF_A_BUFFER]])
def test_rpc_cuts_long_buffers_into_calls_in_order(sizes: list[int]) -> None:
    buffers = [memoryview(bytes([index]) * size) for index, size in enumerate(sizes)]
    calls = list(cut(buffers))
    assert b"".join(part for parts in calls for part in parts) == b"".join(buffers)
    assert max(part.nbytes for parts in calls for part in parts) <= MOST_OF_A_BUFFER
    assert len(calls) == 1 + sum(max(0, size - 1) // MOST_OF_A_BUFFER for size in sizes)


@pytest.mark.parametrize(("second_bytes", "most"), [(0, 65536), (625_000, 625_000), (125 * 10**6, MOST_OF_A_BUFFER)])
def test_rpc_sends_no_more_in_a_call_than_the_link_carries_in_a_second(second_bytes: int, most: int) -> None:
    assert part_bytes(second_bytes) == most
    calls = list(cut([memoryview(bytes(2 * most + 1))], part_bytes(second_bytes)))
    assert [sum(part.nbytes for part in parts) for parts in calls] == [most, most, 1]


def test_silence_is_counted_while_somebody_waits_and_ends_with_any_byte(ends: Ends) -> None:
    time.sleep(0.2)
    assert ends[0].silence_s() == 0.0, "nobody waits"
    with ThreadPoolExecutor(1) as pool:
        receiving = pool.submit(receive, ends[0], 2, 60)
        assert silence_passes(ends[0], 0.3)
        ends[1].send([memoryview(b"x")], 5)
        assert heard_within_10_s(ends[0])
        assert not receiving.done()
        assert silence_passes(ends[0], 0.3)
        ends[1].send([memoryview(b"y")], 5)
        assert receiving.result(30) == b"xy"
    assert ends[0].silence_s() == 0.0


def silence_passes(stream: Stream, limit_s: float) -> bool:
    """Wait until a stream was silent for so long, and say whether that took no less."""
    begun = time.monotonic()
    while stream.silence_s() < limit_s and time.monotonic() - begun < 10:
        time.sleep(0.01)
    # over RPC the answers of the peer's process count too
    return isinstance(stream, RpcStream) or 0.2 < time.monotonic() - begun < 10


def heard_within_10_s(stream: Stream) -> bool:
    end = time.monotonic() + 10
    while stream.silence_s() > 0.25 and time.monotonic() < end:
        time.sleep(0.01)
    return stream.silence_s() <= 0.25


def test_a_stream_that_is_full_has_no_room_until_it_is_read(ends: Ends) -> None:
    assert ends[0].has_room()
    content = bytes(64 * 2**20)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(ends[0].send, [memoryview(content)], 60)
        end = time.monotonic() + 10
        while ends[0].has_room() and time.monotonic() < end:
            time.sleep(0.01)
        assert not ends[0].has_room()
        assert receive(ends[1], len(content), 60) == content
        sending.result()
    end = time.monotonic() + 10
    while not ends[0].has_room() and time.monotonic() < end:
        time.sleep(0.01)
    assert ends[0].has_room()


def test_a_stream_that_was_closed_has_no_silence_to_tell(ends: Ends) -> None:
    ends[0].close()
    assert ends[0].silence_s() == 0.0


def test_tcp_connects_from_the_address_it_was_given() -> None:
    listener, port = listen(TcpTransport())
    caller = TcpTransport("127.0.0.9").connect("127.0.0.1", port, 5)
    called = listener.accept(5)
    assert called is not None
    assert called.peer.startswith("127.0.0.9:")
    for stream in (caller, called):
        stream.close()
    listener.close()


def test_tcp_says_which_address_is_not_this_machines() -> None:
    with pytest.raises(TransportError, match=r"cannot listen on 192\.0\.2\.1:47300"):
        TcpTransport().listen("192.0.2.1", 47300)


def test_a_reset_is_an_error_not_an_end() -> None:
    listener, port = listen(TcpTransport())
    caller = socket.create_connection(("127.0.0.1", port))
    called = listener.accept(5)
    assert called is not None
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    caller.close()
    with pytest.raises(TransportError, match="broken"):
        receive(called, 1)
    called.close()
    listener.close()
