from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from stage_runtime.errors import TransportError, TransportTimeoutError
from stage_runtime.transports.base import Stream
from stage_runtime.transports.memory import memory_pair
from stage_runtime.wire.handshake import MAGIC, TLS_MAGIC, greet_caller, greet_listener

SECRET = b"0123456789abcdef"
PLACE = "10.0.0.1:47300"


def both(listener: Callable[[Stream], None], caller: Callable[[Stream], None]) -> list[Future[None]]:
    near, far = memory_pair()

    def part(work: Callable[[Stream], None], stream: Stream) -> None:
        try:
            work(stream)
        finally:
            if work is listener:
                stream.close()

    with ThreadPoolExecutor(2) as pool:
        return [pool.submit(part, listener, near), pool.submit(part, caller, far)]


def test_two_sides_with_the_same_secret_agree() -> None:
    done = both(lambda s: greet_caller(s, SECRET, PLACE, 5), lambda s: greet_listener(s, SECRET, PLACE, 5))
    assert [future.exception() for future in done] == [None, None]


def test_a_caller_with_another_secret_is_refused_and_told() -> None:
    listener, caller = both(
        lambda s: greet_caller(s, SECRET, PLACE, 5), lambda s: greet_listener(s, b"fedcba9876543210", PLACE, 5)
    )
    assert isinstance(listener.exception(), TransportError)
    assert "does not know this stage's secret" in str(listener.exception())
    assert "refused this stage's secret" in str(caller.exception())


def test_a_stranger_learns_nothing() -> None:
    heard = bytearray()

    def stranger(stream: Stream) -> None:
        stream.send([memoryview(MAGIC + bytes(64))], 5)
        one = bytearray(1)
        while True:
            stream.receive_into(memoryview(one), 5)
            heard.extend(one)

    listener, caller = both(lambda s: greet_caller(s, SECRET, PLACE, 5), stranger)
    assert isinstance(listener.exception(), TransportError)
    assert isinstance(caller.exception(), TransportError)
    assert len(heard) == len(MAGIC) + 32  # the greeting, never a proof


def test_a_listener_without_the_secret_is_found_out() -> None:
    def impostor(stream: Stream) -> None:
        stream.send([memoryview(MAGIC + bytes(32))], 5)
        proof = bytearray(len(MAGIC) + 64)
        stream.receive_into(memoryview(proof), 5)
        stream.send([memoryview(proof)[-32:]], 5)  # the caller's own proof played back

    _, caller = both(impostor, lambda s: greet_listener(s, SECRET, PLACE, 5))
    assert "does not know this stage's secret" in str(caller.exception())


def test_something_else_on_the_port_is_named() -> None:
    _, caller = both(
        lambda s: s.send([memoryview(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3")], 5),
        lambda s: greet_listener(s, SECRET, PLACE, 5),
    )
    assert "is no stage: it greets with b'SSH-'" in str(caller.exception())


def test_a_stage_that_greets_as_another_version_does_is_told_from_a_stranger() -> None:
    _, caller = both(
        lambda s: s.send([memoryview(b"SBH1" + bytes(32))], 5), lambda s: greet_listener(s, SECRET, PLACE, 5)
    )
    assert "is a stage of another version of the runtime" in str(caller.exception())


def test_an_old_proof_is_worth_nothing() -> None:
    recorded = bytearray(len(MAGIC) + 64)

    def recorder(stream: Stream) -> None:
        stream.send([memoryview(MAGIC + bytes(32))], 5)
        stream.receive_into(memoryview(recorded), 5)

    both(recorder, lambda s: greet_listener(s, SECRET, PLACE, 5))
    listener, _ = both(lambda s: greet_caller(s, SECRET, PLACE, 5), lambda s: s.send([memoryview(recorded)], 5))
    assert "does not know this stage's secret" in str(listener.exception())


def test_a_proof_for_one_place_is_none_at_another() -> None:
    """Who has taken a stage's place passes what is said on to another stage: neither takes the other for it."""
    listener, caller = both(
        lambda s: greet_caller(s, SECRET, "10.0.0.1:47300", 5), lambda s: greet_listener(s, SECRET, "10.0.0.2:47300", 5)
    )
    assert "means another than 10.0.0.1:47300" in str(listener.exception())
    assert isinstance(caller.exception(), TransportError)


@pytest.mark.parametrize("listens_with", [True, False])
def test_a_stage_with_tls_and_one_without_find_out(listens_with: bool) -> None:
    listener, caller = both(
        lambda s: greet_caller(s, SECRET, PLACE, 5, tls=listens_with),
        lambda s: greet_listener(s, SECRET, PLACE, 5, tls=not listens_with),
    )
    word = "with" if listens_with else "without"
    assert f"is a stage {word} TLS, and this is one {'without' if listens_with else 'with'}" in str(caller.exception())
    assert isinstance(listener.exception(), TransportError)


def test_a_proof_without_tls_is_none_with_it() -> None:
    recorded = bytearray(len(MAGIC) + 64)

    def relay(stream: Stream) -> None:
        stream.send([memoryview(TLS_MAGIC + recorded[4:])], 5)

    listener, _ = both(lambda s: greet_caller(s, SECRET, PLACE, 5, tls=True), relay)
    assert "does not know this stage's secret" in str(listener.exception())


def test_the_first_byte_has_a_limit_of_its_own() -> None:
    begin = time.monotonic()
    listener, _ = both(lambda s: greet_caller(s, SECRET, PLACE, 60, first_byte_s=0.2), lambda _: time.sleep(3))
    assert isinstance(listener.exception(), TransportTimeoutError)
    assert time.monotonic() - begin < 30


def test_all_of_a_greeting_has_one_limit() -> None:
    def slow(stream: Stream) -> None:
        for byte in MAGIC + bytes(64):
            stream.send([memoryview(bytes([byte]))], 5)
            time.sleep(0.05)

    listener, _ = both(lambda s: greet_caller(s, SECRET, PLACE, 0.5), slow)
    assert isinstance(listener.exception(), TransportTimeoutError)


def test_a_listener_that_falls_silent_is_late_and_not_of_another_secret() -> None:
    def silent(stream: Stream) -> None:
        stream.send([memoryview(MAGIC + bytes(32))], 5)
        time.sleep(3)

    _, caller = both(silent, lambda s: greet_listener(s, SECRET, PLACE, 0.3))
    assert isinstance(caller.exception(), TransportTimeoutError)
    assert "secret" not in str(caller.exception())
