"""TLS over a TCP stream, each side known by a certificate of the campaign's own authority.

The encryption happens in memory, on either side of a lock that is never held while a socket is waited for:
one thread may send while another receives, which OpenSSL does not allow on one connection by itself, and the
stream's own timeouts and wake-ups stay in force.  TLS 1.3 alone; the certificates are made for one command
(``sweep.certificates``), so nothing is checked against a clock that a device may not have set.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from stage_runtime.errors import SplitbedError, TransportError
from stage_runtime.formats.stage_config import TlsFiles
from stage_runtime.private_files import read_private
from stage_runtime.transports.base import Stream
from stage_runtime.transports.tcp import TcpStream

# The listener's word, under TLS, that it accepts the caller's certificate: TLS 1.3 itself does not wait for it.
_ACCEPTED = b"SBTA"
# A record holds so much; what is shorter is joined, so that a small frame is one record.
_RECORD_BYTES = 16384
# What is encrypted at once, and received at once; the other direction waits that long.
_PART_BYTES = 256 * 1024


class Tls:
    """A stage's certificate and key, and the authority that its neighbours' certificates must be from.

    Raises SplitbedError where a file is missing, open to others or of no use.
    """

    def __init__(self, files: TlsFiles) -> None:
        read_private(Path(files.key), "key file")
        try:
            self._listening = self._context(ssl.PROTOCOL_TLS_SERVER, files)
            self._calling = self._context(ssl.PROTOCOL_TLS_CLIENT, files)
        except (OSError, ssl.SSLError) as exc:
            named = f"{files.authority}, {files.certificate} and {files.key}"
            raise SplitbedError(f"{named} cannot be used for TLS ({exc}); the stage_service role writes them") from exc

    @staticmethod
    def _context(protocol: int, files: TlsFiles) -> ssl.SSLContext:
        context = ssl.SSLContext(protocol)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(files.authority)
        context.load_cert_chain(files.certificate, files.key)
        if protocol == ssl.PROTOCOL_TLS_SERVER:
            context.num_tickets = 0  # nothing is resumed, and an idle stream stays quiet
        return context

    def accept(self, stream: Stream, timeout_s: float) -> TlsStream:
        """Do the listener's part on a new stream; raises TransportError when the caller's certificate is not good."""
        end = time.monotonic() + timeout_s
        secured = self._secure(stream, timeout_s, address=None)
        secured.send([memoryview(_ACCEPTED)], end - time.monotonic())
        return secured

    def connect(self, stream: Stream, address: str, timeout_s: float) -> TlsStream:
        """Do the caller's part; raises TransportError unless the listener's certificate is good and for ``address``."""
        end = time.monotonic() + timeout_s
        secured = self._secure(stream, timeout_s, address=address)
        word = bytearray(len(_ACCEPTED))
        secured.receive_into(memoryview(word), end - time.monotonic())
        if word != _ACCEPTED:
            raise TransportError(f"{stream.peer} says {bytes(word)!r} under TLS, which no stage does")
        return secured

    def _secure(self, stream: Stream, timeout_s: float, address: str | None) -> TlsStream:
        if not isinstance(stream, TcpStream):
            raise TransportError(f"the connection with {stream.peer} is not over TCP, and only that can have TLS")
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = self._listening if address is None else self._calling
        tls = context.wrap_bio(incoming, outgoing, server_side=address is None, server_hostname=address)
        secured = TlsStream(stream, tls, incoming, outgoing)
        secured.shake_hands(timeout_s)
        return secured


class TlsStream(Stream):
    """One TCP connection under TLS; ``shake_hands`` comes first."""

    def __init__(self, below: TcpStream, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._below = below
        self._tls = tls
        self._incoming = incoming
        self._outgoing = outgoing
        self._lock = threading.Lock()
        self._came = memoryview(bytearray(_PART_BYTES))

    @property
    def peer(self) -> str:
        """The other end as ``address:port``."""
        return self._below.peer

    @property
    def protection(self) -> str | None:
        """Protocol and cipher in force."""
        cipher = self._tls.cipher()
        return f"{self._tls.version()} {cipher[0]}" if cipher is not None else None

    def shake_hands(self, timeout_s: float) -> None:
        """Agree on keys and check certificates; raises TransportError, which says what is wrong with them."""
        end = time.monotonic() + timeout_s
        done = False
        while not done:
            try:
                self._tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as exc:
                self._send_encrypted(self._outgoing.read(), max(0.0, end - time.monotonic()))  # the peer hears why
                raise self._refused(exc) from exc
            self._send_encrypted(self._outgoing.read(), end - time.monotonic())
            if not done:
                self._receive_some(1, end - time.monotonic())

    def send(self, buffers: Sequence[memoryview], timeout_s: float) -> None:
        """Send all of the buffers; see the interface."""
        end = time.monotonic() + timeout_s
        for part in _parts(buffers):
            try:
                with self._lock:
                    self._tls.write(part)
                    encrypted = self._outgoing.read()
            except ssl.SSLError as exc:
                raise self._refused(exc) from exc
            self._send_encrypted(encrypted, end - time.monotonic())

    def receive_into(self, buffer: memoryview, timeout_s: float) -> None:
        """Fill all of ``buffer``; see the interface."""
        end = time.monotonic() + timeout_s
        filled, total = 0, buffer.nbytes
        while filled < total:
            count = self._decrypt(buffer[filled:])
            if not count:
                self._receive_some(total - filled, end - time.monotonic())
            filled += count

    def _decrypt(self, buffer: memoryview) -> int:
        """Decrypt into ``buffer`` what has come; 0 when the next record is not whole."""
        try:
            with self._lock:
                count = self._tls.read(buffer.nbytes, buffer)
        except ssl.SSLWantReadError:
            return 0
        except ssl.SSLError as exc:
            raise self._refused(exc) from exc
        if not count:
            raise TransportError(f"{self.peer} closed the connection")
        return int(count)

    def _receive_some(self, sure: int, timeout_s: float) -> None:
        count = self._below.receive_what_came(self._came, sure, timeout_s)
        with self._lock:
            self._incoming.write(self._came[:count])

    def _send_encrypted(self, data: bytes, timeout_s: float) -> None:
        if data:
            self._below.send([memoryview(data)], timeout_s)

    def _refused(self, exc: ssl.SSLError) -> TransportError:
        if isinstance(exc, ssl.SSLCertVerificationError):
            what = f"the certificate of {self.peer} is not accepted ({exc.verify_message})"
        elif exc.reason is not None and "ALERT" in exc.reason:
            what = f"{self.peer} does not accept this stage's certificate ({exc.reason})"
        else:
            what = f"TLS with {self.peer} is broken ({exc.reason or exc})"
        return TransportError(f"{what}; if it is from another campaign, start the stages again")

    def make_room(self, in_flight_bytes: int, second_bytes: int) -> None:
        """Size the buffers below; see the interface."""
        self._below.make_room(in_flight_bytes, second_bytes)

    def has_room(self) -> bool:
        """Say whether a few bytes could be sent without waiting; see the interface."""
        return self._below.has_room()

    def silence_s(self) -> float:
        """Give for how long a receiver has waited while no byte came, encrypted as it is; see the interface."""
        return self._below.silence_s()

    def is_quiet(self) -> bool:
        """Say whether nothing, not even an end of stream, waits to be received."""
        with self._lock:
            waits = self._tls.pending() or self._incoming.pending
        return not waits and self._below.is_quiet()

    def abort(self) -> None:
        """Shut both directions down."""
        self._below.abort()

    def close(self) -> None:
        """Close the socket."""
        self._below.close()


def _parts(buffers: Sequence[memoryview]) -> Iterator[memoryview]:
    """Give the buffers' bytes in order: short ones joined to records, long ones cut to what is encrypted at once."""
    short = bytearray()
    for buffer in buffers:
        if buffer.nbytes + len(short) <= _RECORD_BYTES:
            short += buffer
            continue
        if short:
            yield memoryview(short)
            short = bytearray()
        for begin in range(0, buffer.nbytes, _PART_BYTES):
            yield buffer[begin : begin + _PART_BYTES]
    if short:
        yield memoryview(short)
