"""Both ends of a probe over the loopback interface: that they understand each other."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from links.conditions import LinkSpec
from links.probe import server, wire
from links.probe.client import measure_pair
from links.probe.verdict import TCP_PAYLOAD_BYTES
from stage_runtime.errors import LinkError

HERE = "127.0.0.1"


@pytest.fixture
def port() -> Iterator[int]:
    listener = server.listen(HERE, 0)
    assert listener is not None
    thread = threading.Thread(target=server.serve, args=(listener, 1.0))
    port = listener.getsockname()[1]
    thread.start()
    yield port
    thread.join(timeout=30)
    assert not thread.is_alive(), "the server ends by itself when nobody probes"


def test_fast_link_is_measured_over_tcp(port: int) -> None:
    there, back = measure_pair(source=HERE, target=HERE, port=port, there=LinkSpec(), back=LinkSpec())
    for measured in (there, back):
        assert measured.method == "tcp"
        assert 0 < measured.rtt_min_ms <= measured.rtt_ms
        assert measured.bulk_mbit / measured.goodput_mbit == pytest.approx(1514 / TCP_PAYLOAD_BYTES)


def test_lossy_link_is_measured_by_trains_each_way(port: int) -> None:
    lossy = LinkSpec(loss_percent=1)
    there, back = measure_pair(source=HERE, target=HERE, port=port, there=lossy, back=LinkSpec())
    assert (there.method, back.method) == ("train", "tcp")
    there, back = measure_pair(source=HERE, target=HERE, port=port, there=LinkSpec(), back=lossy)
    assert (there.method, back.method) == ("tcp", "train")
    assert back.bulk_mbit / back.goodput_mbit == pytest.approx(1514 / wire.DATAGRAM_BYTES)


def test_server_survives_a_probe_that_makes_no_sense(port: int) -> None:
    for nonsense in (b"", b"GET / HTTP/1.0\r\n\r\n", b"P"):
        with wire.socket.create_connection((HERE, port), timeout=5) as connection:
            connection.sendall(nonsense)
    there, _ = measure_pair(source=HERE, target=HERE, port=port, there=LinkSpec(), back=LinkSpec())
    assert there.bulk_mbit > 0


def test_who_never_ends_is_broken_off_and_the_server_ends_whoever_asks() -> None:
    listener = server.listen(HERE, 0)
    assert listener is not None
    port = listener.getsockname()[1]
    thread = threading.Thread(target=server.serve, args=(listener, 30.0, 0.5, 2.0))
    thread.start()
    asked = 0
    end = time.monotonic() + 30
    while thread.is_alive() and time.monotonic() < end:
        begun = time.monotonic()
        with contextlib.suppress(OSError), wire.socket.create_connection((HERE, port), timeout=5) as connection:
            while True:
                wire.send_request(connection, wire.PING)
                if wire.receive_request(connection) is None:
                    break
                asked += 1
                time.sleep(0.05)
            assert time.monotonic() - begun >= 0.4, "it was broken off before its time"
    thread.join(timeout=1)
    assert not thread.is_alive(), "a stranger keeps the server there"
    assert asked > 0


def test_second_server_on_the_port_is_none(port: int) -> None:
    assert server.listen(HERE, port) is None


def test_server_about_to_end_waits_anew() -> None:
    listener = server.listen(HERE, 0)
    assert listener is not None
    port = listener.getsockname()[1]
    thread = threading.Thread(target=server.serve, args=(listener, 3.0))
    thread.start()
    time.sleep(1.6)
    assert server.listen_or_keep(HERE, port) is None
    time.sleep(1.6)
    assert measure_pair(source=HERE, target=HERE, port=port, there=LinkSpec(), back=LinkSpec())
    thread.join(timeout=30)


def test_server_that_ends_just_now_is_replaced() -> None:
    ending = server.listen(HERE, 0)
    assert ending is not None
    port = ending.getsockname()[1]
    # it listens, but answers nobody any more
    threading.Timer(0.3, ending.close).start()
    listener = server.listen_or_keep(HERE, port)
    assert listener is not None
    listener.close()


def test_absent_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("links.probe.client._CONNECT_S", 0.2)
    listener = server.listen(HERE, 0)
    assert listener is not None
    port = listener.getsockname()[1]
    listener.close()
    with pytest.raises(LinkError, match=rf"no probe server answers 127.0.0.1 at 127.0.0.1:{port} .*shape that device"):
        measure_pair(source=HERE, target=HERE, port=port, there=LinkSpec(), back=LinkSpec())
