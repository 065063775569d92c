"""Prove to each other that both sides know the secret, before anything else is read.

::

    listener  ->  magic, 32 random bytes
    caller    ->  magic, 32 random bytes, HMAC(secret, magic + "caller"   + listener's bytes + caller's bytes + place)
    listener  ->                          HMAC(secret, magic + "listener" + listener's bytes + caller's bytes + place)

HMAC is HMAC-SHA256 (RFC 2104).  The caller proves itself first, so a stranger learns nothing; the
labels keep one side's proof from being played back as the other's; fresh bytes from both sides keep an
old proof from being used again; the place, ``ADDRESS:PORT`` of the listener, which the caller knows from its
cell, keeps whoever has taken one stage's place from passing what is said on to another stage.  The magic says
whether TLS follows at once, so that a stage with TLS and one without find out before either trusts the other.
All lengths are fixed: what a stranger sends is compared, never parsed, and takes no memory beyond these bytes.

Without TLS the frames that follow are neither encrypted nor signed: this keeps strangers
and mistakes out of a laboratory's network, not somebody who can alter its packets.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time

from stage_runtime.errors import TransportError, TransportTimeoutError
from stage_runtime.transports.base import Stream

MAGIC = b"SBH2"
TLS_MAGIC = b"SBT2"
_NONCE_BYTES = 32
_PROOF_BYTES = hashlib.sha256().digest_size


class _Proofs:
    """What each side says to prove that it knows the secret."""

    def __init__(self, secret: bytes, magic: bytes, place: str, listener_nonce: bytes, caller_nonce: bytes) -> None:
        fresh = listener_nonce + caller_nonce + place.encode()
        self.caller, self.listener = (
            hmac.digest(secret, magic + label + fresh, "sha256") for label in (b"caller", b"listener")
        )


class _Exchange:
    """Fixed numbers of bytes each way, all of them before one deadline."""

    def __init__(self, stream: Stream, timeout_s: float) -> None:
        self._stream = stream
        self._end = time.monotonic() + timeout_s

    def send(self, data: bytes) -> None:
        self._stream.send([memoryview(data)], self._left_s())

    def receive(self, count: int, within_s: float | None = None) -> bytes:
        data = bytearray(count)
        left_s = self._left_s()
        self._stream.receive_into(memoryview(data), left_s if within_s is None else min(left_s, within_s))
        return bytes(data)

    def _left_s(self) -> float:
        return max(0.0, self._end - time.monotonic())


def greet_caller(
    stream: Stream, secret: bytes, place: str, timeout_s: float, *, first_byte_s: float | None = None, tls: bool = False
) -> None:
    """Do the part of the listener at ``place``; raises TransportError when the caller does not know the secret.

    The caller has ``first_byte_s`` to begin and ``timeout_s`` for all; ``tls`` says that TLS is to follow.
    """
    magic = TLS_MAGIC if tls else MAGIC
    nonce = secrets.token_bytes(_NONCE_BYTES)
    exchange = _Exchange(stream, timeout_s)
    exchange.send(magic + nonce)
    answer = exchange.receive(len(magic), first_byte_s)
    if answer != magic:
        raise TransportError(f"{stream.peer} {_stranger(answer, 'answers', tls=tls)}")
    caller_nonce = exchange.receive(_NONCE_BYTES)
    proof = exchange.receive(_PROOF_BYTES)
    right = _Proofs(secret, magic, place, nonce, caller_nonce)
    if not hmac.compare_digest(proof, right.caller):
        raise TransportError(f"{stream.peer} does not know this stage's secret, or means another than {place}")
    exchange.send(right.listener)


def greet_listener(stream: Stream, secret: bytes, place: str, timeout_s: float, *, tls: bool = False) -> None:
    """Do the part of who calls ``place``; raises TransportError when no stage is there, or one of another secret.

    ``tls`` says that TLS is to follow.
    """
    magic = TLS_MAGIC if tls else MAGIC
    exchange = _Exchange(stream, timeout_s)
    greeting = exchange.receive(len(magic))
    if greeting != magic:
        raise TransportError(f"{stream.peer} {_stranger(greeting, 'greets', tls=tls)}")
    listener_nonce = exchange.receive(_NONCE_BYTES)
    nonce = secrets.token_bytes(_NONCE_BYTES)
    right = _Proofs(secret, magic, place, listener_nonce, nonce)
    exchange.send(magic + nonce + right.caller)
    try:
        theirs = exchange.receive(_PROOF_BYTES)
    except TransportTimeoutError:
        raise
    except TransportError as exc:
        raise TransportError(
            f"{stream.peer} refused this stage's secret; is it from another campaign? Start the stages again"
        ) from exc
    if not hmac.compare_digest(theirs, right.listener):
        raise TransportError(f"{stream.peer} does not know this stage's secret")


def _stranger(magic: bytes, verb: str, *, tls: bool) -> str:
    """Say what is at the other end instead of a stage of this kind."""
    if magic == (MAGIC if tls else TLS_MAGIC):
        ours, theirs = ("with", "without") if tls else ("without", "with")
        return f"is a stage {theirs} TLS, and this is one {ours}; start both again"
    if magic[:3] in {MAGIC[:3], TLS_MAGIC[:3]}:
        return "is a stage of another version of the runtime; run playbooks/provision.yml, and start both again"
    return f"is no stage: it {verb} with {magic!r}"
