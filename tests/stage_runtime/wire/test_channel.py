from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from stage_runtime.errors import FormatError, TransportTimeoutError
from stage_runtime.transports.memory import memory_pair
from stage_runtime.transports.room import room_bytes
from stage_runtime.wire.channel import Channel
from stage_runtime.wire.frames import Header, Kind, TensorHeader, pack_descriptors, pack_header


def pair(capacity: int = 65536) -> tuple[Channel, Channel]:
    near, far = memory_pair(capacity)
    return Channel(near), Channel(far)


def test_several_tensors_travel_in_one_frame() -> None:
    near, far = pair()
    tensors = [
        (TensorHeader("uint8", (2, 3)), memoryview(bytes(range(6)))),
        (TensorHeader("float32", (1,)), memoryview(b"abcd")),
    ]
    sent = near.send_tensors(Kind.BATCH, 7, 3, tensors, 5)
    header = far.receive_header(5)
    assert (header.kind, header.run, header.number) == (Kind.BATCH, 7, 3)
    assert far.receive_descriptors(header) == tuple(described for described, _ in tensors)
    for _, data in tensors:
        received = bytearray(data.nbytes)
        far.receive_payload(memoryview(received), 5)
        assert received == data
    assert sent == 32 + header.body_bytes + 10
    assert far.is_quiet()


def test_descriptors_that_contradict_the_payload_are_refused() -> None:
    near, far = memory_pair()
    body = pack_descriptors((TensorHeader("float32", (2**31, 2)),))
    near.send([memoryview(pack_header(Header(Kind.BATCH, 1, 0, 0, len(body), 8))), memoryview(body)], 5)
    channel = Channel(far)
    with pytest.raises(FormatError, match="a payload of 8"):
        channel.receive_descriptors(channel.receive_header(5))


def test_frames_from_many_threads_do_not_mix() -> None:
    near, far = pair(capacity=100)  # every frame has to wait for the reader half-way
    count = 40

    def send(number: int) -> None:
        near.send_message(Kind.PROGRESS, 0, number, bytes([number]) * 200, 10)

    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(send, number) for number in range(count)]
        seen = set()
        for _ in range(count):
            header = far.receive_header(10)
            assert far.receive_body(header) == bytes([header.number]) * 200
            seen.add(header.number)
        for future in sent:
            future.result()
    assert seen == set(range(count))


def test_a_sender_that_never_gets_its_turn_times_out() -> None:
    near, _ = pair(capacity=10)
    with ThreadPoolExecutor(1) as pool:
        blocked = pool.submit(near.send_message, Kind.PROGRESS, 0, 0, bytes(100), 1.0)
        with pytest.raises(TransportTimeoutError):
            near.send_message(Kind.PROGRESS, 0, 1, b"", 0.05)
        near.abort()
        assert blocked.exception() is not None


def test_a_channel_makes_room_for_a_link_whose_figures_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rooms: list[tuple[int, int]] = []
    one, _ = memory_pair()
    monkeypatch.setattr(one, "make_room", lambda *told: rooms.append(told))
    channel = Channel(one)
    channel.make_room(None, 400)
    channel.make_room(5, None)
    assert rooms == []
    channel.make_room(5, 400)
    assert rooms == [(room_bytes(5, 400), 625_000)]


def test_beats_are_swallowed_wherever_they_come() -> None:
    near, far = pair()
    near.beat(0.0)
    near.send_message(Kind.PROGRESS, 7, 1, b"one", 5)
    near.beat(0.0)
    near.beat(0.0)
    near.send_message(Kind.PROGRESS, 7, 2, b"", 5)
    first = far.receive_header(5)
    assert (first.number, far.receive_body(first)) == (1, b"one")
    assert far.receive_header(5).number == 2
    near.beat(0.0)
    with pytest.raises(TransportTimeoutError):
        far.receive_header(0.05)
    assert far.is_quiet()


def test_a_beat_follows_nothing_that_was_just_sent() -> None:
    near, far = pair()
    near.send_message(Kind.PROGRESS, 0, 0, b"", 5)
    near.beat(60.0)
    far.receive_header(5)
    assert far.is_quiet()


def test_a_beat_never_waits_for_a_frame_that_is_under_way_or_for_room() -> None:
    near, far = pair(capacity=100)
    with ThreadPoolExecutor(1) as pool:
        blocked = pool.submit(near.send_message, Kind.PROGRESS, 0, 0, bytes(500), 30)
        while far.is_quiet():
            time.sleep(0.001)
        near.beat(0.0)  # or this test would not end
        header = far.receive_header(5)
        assert far.receive_body(header) == bytes(500)
        blocked.result()
    near.send_message(Kind.PROGRESS, 0, 0, bytes(68), 5)
    near.beat(0.0)
    header = far.receive_header(5)
    far.receive_body(header)
    assert far.is_quiet()


def test_a_beat_with_more_than_its_header_is_refused() -> None:
    near, far = memory_pair()
    near.send([memoryview(pack_header(Header(Kind.BEAT, 0, 0, 0, 3, 0))), memoryview(b"{}\n")], 5)
    with pytest.raises(FormatError, match="a BEAT frame of more than its header"):
        Channel(far).receive_header(5)
