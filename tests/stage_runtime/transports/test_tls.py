"""TLS between stages: who is accepted, and that a stream under it moves bytes as any other does."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stage_runtime.errors import SplitbedError, TransportError, TransportTimeoutError
from stage_runtime.formats.stage_config import TlsFiles
from stage_runtime.transports.base import Stream
from stage_runtime.transports.memory import memory_pair
from stage_runtime.transports.tcp import TcpStream, TcpTransport
from stage_runtime.transports.tls import Tls, TlsStream
from sweep.certificates import new_certificates
from sweep.secret import tls_files
from tests.stage_runtime.transports.keys import campaign, device

HERE = "127.0.0.1"
Ends = tuple[TlsStream, TlsStream]


def plain_pair() -> tuple[TcpStream, TcpStream]:
    listener = TcpTransport().listen(HERE, 0)
    caller = TcpTransport().connect(HERE, listener.port, 5)
    called = listener.accept(5)
    listener.close()
    assert isinstance(called, TcpStream)
    return caller, called


def secured(calling: Tls, listening: Tls) -> tuple[TlsStream | Exception, TlsStream | Exception]:
    caller, called = plain_pair()

    def attempt(work: Callable[[], TlsStream], stream: Stream) -> TlsStream | Exception:
        try:
            return work()
        except TransportError as exc:
            stream.close()
            return exc

    with ThreadPoolExecutor(2) as pool:
        near = pool.submit(attempt, lambda: calling.connect(caller, HERE, 5), caller)
        far = pool.submit(attempt, lambda: listening.accept(called, 5), called)
        return near.result(), far.result()


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[dict[str, Tls]]:
    with campaign(tmp_path, [device("one", HERE), device("two", HERE), device("far", "127.0.0.9")]) as made:
        yield made


@pytest.fixture
def ends(keys: dict[str, Tls]) -> Iterator[Ends]:
    near, far = secured(keys["one"], keys["two"])
    assert isinstance(near, TlsStream), near
    assert isinstance(far, TlsStream), far
    yield near, far
    near.close()
    far.close()


def receive(stream: Stream, count: int, timeout_s: float = 20) -> bytes:
    buffer = bytearray(count)
    stream.receive_into(memoryview(buffer), timeout_s)
    return bytes(buffer)


def pattern(count: int) -> bytes:
    return (bytes(range(251)) * (count // 251 + 1))[:count]


def test_devices_of_one_campaign_agree_on_tls_1_3(ends: Ends) -> None:
    for end in ends:
        assert end.protection is not None
        assert end.protection.startswith("TLSv1.3 TLS_")
        assert end.is_quiet()


def test_a_device_of_another_campaign_is_refused_and_told(keys: dict[str, Tls], tmp_path: Path) -> None:
    with campaign(tmp_path / "other", [device("one", HERE)]) as others:
        near, far = secured(others["one"], keys["two"])
        assert isinstance(near, TransportError)
        assert isinstance(far, TransportError)
        assert "the certificate of" in str(near), "the caller looks first"
        near, far = secured(others["one"], others["one"])
        for end in (near, far):
            assert isinstance(end, TlsStream)
            end.close()


def test_a_caller_without_a_good_certificate_is_refused_and_told(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with (
        new_certificates(tmp_path, [device("one", HERE)]) as mine,
        new_certificates(tmp_path / "other", [device("one", HERE)]) as others,
    ):
        good, bad = tls_files(mine, "one"), tls_files(others, "one")
        stranger = Tls(TlsFiles(authority=good.authority, certificate=bad.certificate, key=bad.key))
        near, far = secured(stranger, Tls(good))
    assert isinstance(far, TransportError)
    assert "is not accepted" in str(far)
    assert isinstance(near, TransportError)
    assert "does not accept this stage's certificate" in str(near)


def test_a_certificate_holds_for_its_devices_address_alone(keys: dict[str, Tls]) -> None:
    near, _ = secured(keys["one"], keys["far"])
    assert isinstance(near, TransportError)
    assert "the certificate of" in str(near)
    assert "IP address mismatch" in str(near)


def test_a_caller_that_speaks_no_tls_is_refused(keys: dict[str, Tls]) -> None:
    caller, called = plain_pair()
    caller.send([memoryview(b"SBW1" + bytes(60))], 5)
    with pytest.raises(TransportError, match=r"TLS with .* is broken"):
        keys["two"].accept(called, 5)
    caller.close()
    called.close()


def test_a_caller_that_says_nothing_is_given_up(keys: dict[str, Tls]) -> None:
    caller, called = plain_pair()
    begin = time.monotonic()
    with pytest.raises(TransportTimeoutError):
        keys["two"].accept(called, 0.3)
    assert time.monotonic() - begin < 5
    caller.close()
    called.close()


def test_only_tcp_can_have_tls(keys: dict[str, Tls]) -> None:
    near, _ = memory_pair()
    with pytest.raises(TransportError, match="only that can have TLS"):
        keys["one"].connect(near, HERE, 1)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    with new_certificates(tmp_path, [device("one", HERE)]) as place:
        files = tls_files(place, "one")
        assert {path.stat().st_mode & 0o777 for path in place.iterdir()} == {0o600}
        assert place.stat().st_mode & 0o777 == 0o700
        Path(files.key).chmod(0o640)
        with pytest.raises(SplitbedError, match=r"key file .* is open to others"):
            Tls(files)
        Path(files.key).chmod(0o600)
        Path(files.certificate).write_text("nothing")
        with pytest.raises(SplitbedError, match="cannot be used for TLS"):
            Tls(files)
    assert not place.exists()


@pytest.mark.parametrize("parts", [[1], [32, 18, 4096], [32, 18, 16384], [16384, 1], [70_000] * 3, [32, 3_000_000, 5]])
def test_bytes_arrive_in_order_however_they_are_cut(ends: Ends, parts: list[int]) -> None:
    content = pattern(sum(parts))
    bounds = [sum(parts[:number]) for number in range(len(parts) + 1)]
    buffers = [memoryview(content)[a:b] for a, b in itertools.pairwise(bounds)]
    sender = threading.Thread(target=ends[0].send, args=(buffers, 20))
    sender.start()
    assert b"".join(receive(ends[1], count) for count in reversed(parts)) == content
    sender.join()
    assert ends[1].is_quiet()


def test_both_directions_move_at_once(ends: Ends) -> None:
    content = pattern(8_000_000)
    with ThreadPoolExecutor(4) as pool:
        sending = [pool.submit(end.send, [memoryview(content)], 60) for end in ends]
        receiving = [pool.submit(receive, end, len(content), 60) for end in ends]
        assert all(future.result() == content for future in receiving)
        assert all(future.result() is None for future in sending)


def test_a_stream_with_something_decrypted_is_not_quiet(ends: Ends) -> None:
    ends[0].send([memoryview(b"headbody")], 5)
    assert receive(ends[1], 4) == b"head"
    assert not ends[1].is_quiet()
    assert receive(ends[1], 4) == b"body"
    assert ends[1].is_quiet()


def test_the_end_of_the_other_side_is_noticed(ends: Ends) -> None:
    ends[0].send([memoryview(b"last")], 5)
    ends[0].close()
    assert receive(ends[1], 4) == b"last"
    with pytest.raises(TransportError, match="closed the connection"):
        receive(ends[1], 1)


def test_aborting_wakes_the_receiver(ends: Ends) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(receive, ends[1], 1)
        time.sleep(0.1)
        ends[1].abort()
        with pytest.raises(TransportError):
            waiting.result(timeout=10)


def test_waiting_ends_in_time(ends: Ends) -> None:
    ends[0].send([memoryview(b"half")], 5)
    with pytest.raises(TransportTimeoutError):
        receive(ends[1], 8, 0.2)


def test_what_somebody_altered_on_the_way_is_refused(keys: dict[str, Tls]) -> None:
    """Somebody between the two flips one bit of what goes down after the handshake."""
    with socket.create_server((HERE, 0)) as between:
        listener = TcpTransport().listen(HERE, 0)
        altering = threading.Event()

        def forward(source: socket.socket, target: socket.socket, *, alter: bool) -> None:
            while data := source.recv(65536):
                if alter and altering.is_set():
                    data = data[:-1] + bytes([data[-1] ^ 1])
                target.sendall(data)

        with ThreadPoolExecutor(4) as pool:
            near = TcpTransport().connect(HERE, between.getsockname()[1], 5)
            inner, _ = between.accept()
            outer = socket.create_connection((HERE, listener.port))
            called = listener.accept(5)
            assert called is not None
            pool.submit(forward, inner, outer, alter=True)
            pool.submit(forward, outer, inner, alter=False)
            caller = pool.submit(keys["one"].connect, near, HERE, 5)
            far = keys["two"].accept(called, 5)
            stream = caller.result()
            stream.send([memoryview(b"as it is")], 5)
            assert receive(far, 8) == b"as it is"
            altering.set()
            stream.send([memoryview(b"altered.")], 5)
            with pytest.raises(TransportError, match="is broken"):
                receive(far, 8)
            for end in (near, called):
                end.abort()
                end.close()
            for end in (inner, outer):
                end.shutdown(socket.SHUT_RDWR)
        inner.close()
        outer.close()
        listener.close()
