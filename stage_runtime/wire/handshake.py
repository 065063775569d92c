"""Prove to each other that both sides know the secret, before anything else is read.

::

    listener  ->  magic, 32 random bytes
    caller    ->  magic, 32 random bytes, HMAC(secret, "caller"   + listener's bytes + caller's bytes)
    listener  ->                          HMAC(secret, "listener" + listener's bytes + caller's bytes)

HMAC is HMAC-SHA256 (RFC 2104).  The caller proves itself first, so a stranger learns nothing; the
labels keep one side's proof from being played back as the other's; fresh bytes from both sides keep an
old proof from being used again.  Frames that follow are neither encrypted nor signed: this keeps strangers
and mistakes out of a laboratory's network, not somebody who can alter its packets.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import stat
from pathlib import Path

from stage_runtime.errors import SplitbedError, TransportError
from stage_runtime.transports.base import Stream

MAGIC = b"SBH1"
_NONCE_BYTES = 32
_PROOF_BYTES = hashlib.sha256().digest_size
MIN_SECRET_BYTES = 16


def read_secret(path: Path) -> bytes:
    """Read the secret; raises SplitbedError when it is missing, short, or readable by others."""
    try:
        mode = path.stat().st_mode
        secret = path.read_bytes().strip()
    except OSError as exc:
        raise SplitbedError(f"secret file {path}: {exc.strerror}; the stage_service role writes it") from exc
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SplitbedError(f"secret file {path} is open to others ({stat.filemode(mode)}): chmod 600 {path}")
    if len(secret) < MIN_SECRET_BYTES:
        raise SplitbedError(f"secret file {path} holds {len(secret)} bytes, at least {MIN_SECRET_BYTES}")
    return secret


def _proof(secret: bytes, label: bytes, listener_nonce: bytes, caller_nonce: bytes) -> bytes:
    return hmac.digest(secret, MAGIC + label + listener_nonce + caller_nonce, "sha256")


def _receive(stream: Stream, count: int, timeout_s: float) -> bytes:
    data = bytearray(count)
    stream.receive_into(memoryview(data), timeout_s)
    return bytes(data)


def greet_caller(stream: Stream, secret: bytes, timeout_s: float) -> None:
    """Do the listener's part; raises TransportError when the caller does not know the secret."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    stream.send([memoryview(MAGIC + nonce)], timeout_s)
    answer = _receive(stream, len(MAGIC) + _NONCE_BYTES + _PROOF_BYTES, timeout_s)
    caller_nonce = answer[len(MAGIC) : len(MAGIC) + _NONCE_BYTES]
    proof = answer[len(MAGIC) + _NONCE_BYTES :]
    if not answer.startswith(MAGIC) or not hmac.compare_digest(proof, _proof(secret, b"caller", nonce, caller_nonce)):
        raise TransportError(f"{stream.peer} does not know this stage's secret")
    stream.send([memoryview(_proof(secret, b"listener", nonce, caller_nonce))], timeout_s)


def greet_listener(stream: Stream, secret: bytes, timeout_s: float) -> None:
    """Do the caller's part; raises TransportError when the listener is no stage or has another secret."""
    greeting = _receive(stream, len(MAGIC) + _NONCE_BYTES, timeout_s)
    if not greeting.startswith(MAGIC):
        raise TransportError(f"{stream.peer} is no stage: it greets with {greeting[: len(MAGIC)]!r}")
    listener_nonce = greeting[len(MAGIC) :]
    nonce = secrets.token_bytes(_NONCE_BYTES)
    mine = _proof(secret, b"caller", listener_nonce, nonce)
    stream.send([memoryview(MAGIC + nonce + mine)], timeout_s)
    try:
        theirs = _receive(stream, _PROOF_BYTES, timeout_s)
    except TransportError as exc:
        raise TransportError(
            f"{stream.peer} refused this stage's secret; is it from another campaign? Start the stages again"
        ) from exc
    if not hmac.compare_digest(theirs, _proof(secret, b"listener", listener_nonce, nonce)):
        raise TransportError(f"{stream.peer} does not know this stage's secret")
