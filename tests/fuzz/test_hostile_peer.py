"""A hostile peer takes no stage down and hangs none: real sockets, a real service, made-up blocks.

Strangers do without the secret what they can; a peer that has it, as a stage of another version or a broken one would,
says what it likes at any point of a cell.  After each of them the stage answers, and at the end it runs a cell.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stage_runtime import __version__
from stage_runtime.errors import TransportError, TransportTimeoutError
from stage_runtime.transports.tcp import TcpTransport
from stage_runtime.wire import frames
from stage_runtime.wire.channel import Channel
from stage_runtime.wire.frames import Header, Kind, TensorHeader
from stage_runtime.wire.handshake import MAGIC, greet_listener
from stage_runtime.wire.messages import Configure, encode
from tests.fuzz.changing import CALM, changed
from tests.stage_runtime.stage.chain import SECRET, Chain, chain, write_cache

SHAPE = (2, 3)
_SOON_S = 30.0


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """Two stages on loopback sockets; the second is the one that is attacked."""
    folder = tmp_path_factory.mktemp("hostile")
    manifest, images = write_cache(folder / "cache", SHAPE)
    with chain(folder, folder / "cache", 2, TcpTransport()) as devices:
        yield Chain(devices, manifest, images, folder)


def connect(two: Chain, source: str = "127.0.0.9") -> socket.socket:
    """Connect to the stage that is attacked, from an address that is nobody's."""
    config = two.devices[1].config
    return socket.create_connection((config.data_address, config.port), 10, (source, 0))


@contextlib.contextmanager
def channel_to(two: Chain) -> Iterator[Channel]:
    """Connect with the secret; those who came before may take a moment to be let go."""
    config = two.devices[1].config
    end = time.monotonic() + _SOON_S
    while True:
        stream = TcpTransport().connect(config.data_address, config.port, 10)
        try:
            greet_listener(stream, SECRET, f"{config.data_address}:{config.port}", 10)
            break
        except TransportError:
            stream.close()
            assert time.monotonic() < end, "the stage takes no connection any more"
            time.sleep(0.2)
    try:
        yield Channel(stream)
    finally:
        stream.abort()
        stream.close()


def assert_well(two: Chain) -> None:
    """See a cell through: whoever is still connected is no hindrance, once what was told last has been done."""
    end = time.monotonic() + _SOON_S
    while True:
        measured = two.run(cut=(2,), batches=2, timeout_s=_SOON_S)
        # the newest cell wins, and one that a peer sent before it left may be taken up after ours
        if "was taken over" not in measured.reason or time.monotonic() > end:
            break
    assert measured.status == "ok", measured.reason
    assert not any(device.service.stopping.is_set() for device in two.devices)


def heard(peer: socket.socket) -> bytes:
    """Give all that the stage says until it closes, which it does within its own limits."""
    peer.settimeout(_SOON_S)
    said = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while part := peer.recv(4096):
            said += part
    return bytes(said)


@pytest.mark.parametrize("what", [b"", b"\0" * 300, b"GET / HTTP/1.1\r\n\r\n", MAGIC + bytes(64), b"\xff" * 100_000])
def test_a_stranger_hears_a_greeting_and_nothing_else(two: Chain, what: bytes) -> None:
    with connect(two) as peer:
        with contextlib.suppress(OSError):  # it may have been put out by now
            peer.sendall(what)
            peer.shutdown(socket.SHUT_WR)
        assert len(heard(peer)) <= len(MAGIC) + 32
    assert_well(two)


def test_a_handshake_that_was_recorded_opens_nothing(two: Chain) -> None:
    said = record_handshake(two)
    for _ in range(3):
        with connect(two) as peer:
            with contextlib.suppress(ConnectionError):
                peer.sendall(said)
            assert len(heard(peer)) <= len(MAGIC) + 32
    assert_well(two)


def record_handshake(two: Chain) -> bytes:
    """Pass a good handshake on from where the caller takes the stage to be; give what the caller said."""
    said = bytearray()
    listener = TcpTransport().listen("127.0.0.1", 0)
    config = two.devices[1].config

    def pass_on() -> None:
        caller = listener.accept(10)
        assert caller is not None
        stage = TcpTransport().connect(config.data_address, config.port, 10)
        for count, source, target in ((36, stage, caller), (68, caller, stage), (32, stage, caller)):
            piece = bytearray(count)
            source.receive_into(memoryview(piece), 10)
            target.send([memoryview(piece)], 10)
            said.extend(piece if source is caller else b"")
        stage.close()
        caller.close()

    passing = threading.Thread(target=pass_on)
    passing.start()
    stream = TcpTransport().connect("127.0.0.1", listener.port, 10)
    greet_listener(stream, SECRET, f"{config.data_address}:{config.port}", 10)
    passing.join()
    stream.close()
    listener.close()
    assert len(said) == 68
    return bytes(said)


def test_strangers_that_send_a_byte_now_and_then_keep_nobody_out_for_long(two: Chain) -> None:
    peers = [connect(two, f"127.0.0.{9 + number % 3}") for number in range(12)]
    begun = time.monotonic()
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.2):
            for peer in peers:
                with contextlib.suppress(OSError):
                    peer.send(MAGIC[:1])

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        assert_well(two)
        for peer in peers:
            heard(peer)
        assert time.monotonic() - begun < _SOON_S
    finally:
        stop.set()
        dripping.join()
        for peer in peers:
            peer.close()


def test_strangers_that_hang_up_at_once_are_forgotten(two: Chain) -> None:
    for number in range(300):
        with contextlib.suppress(ConnectionError), connect(two, f"127.0.1.{number % 50}") as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
    assert_well(two)


def test_huge_sizes_take_no_memory(two: Chain) -> None:
    """4 GiB and more are announced; a thread's own stack and heap are some 100 MB of addresses."""
    before = psutil.Process().memory_info().vms
    body = frames.pack_descriptors((TensorHeader("float32", (2**16, 2**14)),))
    for header in (
        struct.pack("!4sBBHQIIQ", frames.MAGIC, Kind.CONFIGURE, 0, 0, 1, 0, 2**32 - 1, 0),
        struct.pack("!4sBBHQIIQ", frames.MAGIC, Kind.BATCH, 255, 0, 1, 0, 8, 2**64 - 1),
        frames.pack_header(Header(Kind.BATCH, 1, 7, 0, len(body), 2**32)) + body,
    ):
        with channel_to(two) as channel, contextlib.suppress(TransportError):
            if header[4] == Kind.BATCH:
                configure(two, channel)
            channel._stream.send([memoryview(header)], 10)
            time.sleep(0.3)
            assert psutil.Process().memory_info().vms - before < 2 * 2**30
    assert_well(two)


def test_a_stage_closes_a_connection_that_makes_no_sense_by_itself(two: Chain) -> None:
    with channel_to(two) as channel:
        channel._stream.send([memoryview(bytes(frames.HEADER_BYTES))], 10)
        assert kinds_until(channel, lambda _: False) == []


def configure(two: Chain, channel: Channel, **changes: Any) -> None:
    cell = two.cell((2,), **{"timeout_s": 20.0} | changes)
    channel.send_message(Kind.CONFIGURE, 7, 0, encode(Configure(runtime=__version__, stage=1, cell=cell)), 10)


def kinds_until(channel: Channel, enough: Callable[[Kind], bool]) -> list[Kind]:
    """Give the kinds of frames that come until one is enough or the stage closes the connection."""
    kinds: list[Kind] = []
    end = time.monotonic() + _SOON_S
    with contextlib.suppress(TransportError):
        while not kinds or not enough(kinds[-1]):
            header = channel.receive_header(end - time.monotonic())
            kinds.append(header.kind)
            channel.receive_body(header)
    assert time.monotonic() < end, "the stage neither answered nor closed the connection"
    return kinds


def answer(channel: Channel) -> Kind:
    """Give what a stage says to a cell: that it is ready, or why not."""
    return kinds_until(channel, lambda kind: kind in {Kind.READY, Kind.ERROR})[-1]


@pytest.mark.parametrize(
    "change",
    [
        lambda cell: cell["stages"].clear(),
        lambda cell: cell.update(timeout_s=1e300),
        lambda cell: cell.update(batches=2**62),
        lambda cell: cell.update(batch=2**40),
        lambda cell: cell.update(manifest_id="\0"),
        lambda cell: cell.update(manifest_id="../" * 40 + "etc"),
        lambda cell: cell["stages"][1].update(first=-1),
        lambda cell: cell["stages"][0].update(link_mbit=1e300, link_rtt_ms=1e300),
        lambda cell: cell["stages"][0].update(link_mbit=-1.0, link_rtt_ms=-1.0),
    ],
)
def test_a_cell_that_makes_no_sense_is_refused_with_a_reason(
    two: Chain, change: Callable[[dict[str, Any]], None]
) -> None:
    cell: dict[str, Any] = json.loads(msgspec.json.encode(two.cell((2,), timeout_s=20.0)))
    change(cell)
    with channel_to(two) as channel:
        body = json.dumps({"runtime": __version__, "stage": 1, "cell": cell}).encode()
        channel.send_message(Kind.CONFIGURE, 7, 0, body, 10)
        assert answer(channel) is Kind.ERROR
    assert_well(two)


@pytest.mark.parametrize("stage", [-1, 0, 2, 2**40])
def test_a_stage_number_that_there_is_none_of_is_refused(two: Chain, stage: int) -> None:
    told = Configure(runtime=__version__, stage=stage, cell=two.cell((2,), timeout_s=20.0))
    with channel_to(two) as channel:
        channel.send_message(Kind.CONFIGURE, 7, 0, encode(told), 10)
        assert answer(channel) is Kind.ERROR
    assert_well(two)


@settings(CALM, max_examples=40)
@given(
    point=st.sampled_from(["before", "configured", "ready", "batch"]),
    seed=st.integers(0, 2**32 - 1),
    look=st.integers(0, 7),
)
def test_random_frames_at_any_point_of_a_cell_end_that_cell_and_no_more(
    two: Chain, point: str, seed: int, look: int
) -> None:
    rng = random.Random(seed)  # noqa: S311 - no secret
    with channel_to(two) as channel, contextlib.suppress(TransportError):
        if point != "before":
            configure(two, channel)
        if point in {"ready", "batch"}:
            answer(channel)
        if point == "batch":
            send_batch(channel, 0)
        for _ in range(rng.randint(1, 6)):
            send_something(channel, rng)
    if look == 0:
        assert_well(two)


def send_batch(channel: Channel, number: int) -> None:
    shape = (2, *SHAPE)
    memory = memoryview(bytearray(TensorHeader("float32", shape).payload_bytes))
    channel.send_tensors(Kind.BATCH, 7, number, [(TensorHeader("float32", shape), memory)], 10)


def send_something(channel: Channel, rng: random.Random) -> None:
    """Send raw bytes, a frame of any kind and content, or a batch that may be the next."""
    what = rng.randrange(4)
    if what == 0:
        channel._stream.send([memoryview(rng.randbytes(rng.randint(1, 80)))], 10)
    elif what == 1:
        send_batch(channel, rng.randrange(3))
    else:
        kind = rng.choice(list(Kind))
        channel.send_message(kind, rng.choice([7, 7, 7, 8]), rng.randrange(3), rng.randbytes(rng.randrange(20)), 10)


@settings(CALM, max_examples=25)
@given(data=st.data())
def test_a_changed_cell_is_run_or_refused_and_the_stage_goes_on(two: Chain, data: st.DataObject) -> None:
    cell = json.loads(msgspec.json.encode(two.cell((2,), timeout_s=5.0)))
    told = {"runtime": __version__, "stage": 1, "cell": data.draw(changed(cell))}
    with channel_to(two) as channel, closed_at_most():
        channel.send_message(Kind.CONFIGURE, 7, 0, json.dumps(told).encode("utf-8", "replace"), 10)
        channel.receive_header(_SOON_S)


@contextlib.contextmanager
def closed_at_most() -> Iterator[None]:
    """Let the stage close the connection, but not leave a peer without an answer."""
    try:
        yield
    except TransportTimeoutError:
        raise
    except TransportError:
        pass


def test_after_all_that_the_stages_run_a_cell(two: Chain) -> None:
    assert_well(two)
