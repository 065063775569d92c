"""What a stage lets its neighbours in by: the campaign's secret, and certificates where it has them."""

from __future__ import annotations

import time

from stage_runtime.transports.base import Stream
from stage_runtime.transports.tls import Tls
from stage_runtime.wire.handshake import greet_caller, greet_listener

# A proof takes one round trip; two segments lost in a row cost 3 s.
_FIRST_BYTE_S = 5.0
_GREETING_S = 10.0


class Gate:
    """Turns a new stream into one whose other end is known, for either end.

    The secret comes first, also where TLS follows: so no stranger reaches OpenSSL, which parses and takes memory.
    """

    def __init__(self, secret: bytes, tls: Tls | None = None) -> None:
        self._secret = secret
        self._tls = tls

    @property
    def has_tls(self) -> bool:
        """Whether what passes is under TLS."""
        return self._tls is not None

    def admit(self, stream: Stream, place: str) -> Stream:
        """Do the part of the listener at ``place`` (``ADDRESS:PORT``).

        Raises TransportError where the caller is none of the campaign's stages, or slow.
        """
        end = time.monotonic() + _GREETING_S
        greet_caller(stream, self._secret, place, _GREETING_S, first_byte_s=_FIRST_BYTE_S, tls=self.has_tls)
        return stream if self._tls is None else self._tls.accept(stream, end - time.monotonic())

    def enter(self, stream: Stream, address: str, port: int, timeout_s: float) -> Stream:
        """Do the caller's part at the stage that listens there; raises TransportError where it is none."""
        end = time.monotonic() + timeout_s
        greet_listener(stream, self._secret, f"{address}:{port}", timeout_s, tls=self.has_tls)
        return stream if self._tls is None else self._tls.connect(stream, address, end - time.monotonic())
