"""Packets as a TUN interface with IFF_VNET_HDR gives them: sizes on the wire, and cutting.

A read gives ``struct virtio_net_hdr`` (10 bytes, native order) and an IP packet, which may be
a TCP segment of up to 64 KiB that hardware would cut (``gso_size`` bytes of payload each).
The cutting follows the kernel's ``tcp_gso_segment`` and ``inet_gso_segment``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from links.conditions import ETHERNET_HEADER_BYTES

VNET = struct.Struct("=BBHHHH")
VNET_BYTES = VNET.size
_GSO_NONE = 0
_GSO_TCPV4 = 1
_GSO_ECN = 0x80
_IPV4 = 4
_DESTINATION = slice(VNET_BYTES + 16, VNET_BYTES + 20)
_LEAST_BYTES = VNET_BYTES + 20
_FIN_PSH = 0x09
_CWR = 0x80
_FLAGS_AT = 13
_WORD = struct.Struct("!H")
_LONG = struct.Struct("!L")

Piece = tuple[int, int, tuple[bytes | memoryview, ...]]


def destination(packet: bytes) -> bytes | None:
    """Give the four bytes of the destination address; None for what is not IPv4."""
    if len(packet) < _LEAST_BYTES or packet[VNET_BYTES] >> 4 != _IPV4:
        return None
    return packet[_DESTINATION]


def pieces(packet: bytes, piece_bytes: int) -> Iterator[Piece]:
    """Cut a packet into pieces of at most ``piece_bytes`` frame bytes, at least one MTU each.

    Gives ``(frame bytes, packets on the wire, buffers to write)``.  Frame bytes count the
    Ethernet and protocol headers of every packet on the wire, as tc does.
    """
    gso_type = packet[1] & ~_GSO_ECN
    if gso_type != _GSO_TCPV4:
        yield len(packet) - VNET_BYTES + ETHERNET_HEADER_BYTES, 1, (packet,)
        return
    segment = _Segment(packet)
    per_frame = segment.header_bytes + ETHERNET_HEADER_BYTES
    count = max(1, piece_bytes // (per_frame + segment.size))
    step = count * segment.size
    if step >= segment.payload_bytes:
        frames = -(-segment.payload_bytes // segment.size)
        yield segment.payload_bytes + frames * per_frame, frames, (packet,)
        return
    for start in range(0, segment.payload_bytes, step):
        length = min(step, segment.payload_bytes - start)
        frames = -(-length // segment.size)
        yield length + frames * per_frame, frames, segment.cut(start, length)


class _Segment:
    """A TCP segment to cut: what all of its pieces share is computed once."""

    def __init__(self, packet: bytes) -> None:
        self._packet = packet
        self._flags, self._gso_type, _, self.size, self._csum_start, self._csum_offset = VNET.unpack_from(packet)
        self._ip_bytes = (packet[VNET_BYTES] & 0x0F) * 4
        self._tcp_at = VNET_BYTES + self._ip_bytes
        tcp_bytes = (packet[self._tcp_at + 12] >> 4) * 4
        self.header_bytes = self._ip_bytes + tcp_bytes
        self._payload_at = VNET_BYTES + self.header_bytes
        self.payload_bytes = len(packet) - self._payload_at
        self._view = memoryview(packet)
        words = struct.unpack_from(f"!{self._ip_bytes // 2}H", packet, VNET_BYTES)
        # without total length, identification and checksum, which every piece has of its own
        self._ip_sum = sum(words) - words[1] - words[2] - words[5]
        self._identification = words[2]
        self._pseudo_sum = sum(words[6:10]) + packet[VNET_BYTES + 9]
        (self._sequence,) = _LONG.unpack_from(packet, self._tcp_at + 4)

    def cut(self, start: int, length: int) -> tuple[bytes, memoryview]:
        head = bytearray(self._packet[: self._payload_at])
        whole = length > self.size
        gso_type, gso_size = (self._gso_type, self.size) if whole else (_GSO_NONE, 0)
        VNET.pack_into(head, 0, self._flags, gso_type, self.header_bytes, gso_size, self._csum_start, self._csum_offset)
        identification = (self._identification + start // self.size) & 0xFFFF
        total = self.header_bytes + length
        _WORD.pack_into(head, VNET_BYTES + 2, total)
        _WORD.pack_into(head, VNET_BYTES + 4, identification)
        _WORD.pack_into(head, VNET_BYTES + 10, 0xFFFF ^ _fold(self._ip_sum + total + identification))
        tcp_at = self._tcp_at
        _LONG.pack_into(head, tcp_at + 4, (self._sequence + start) & 0xFFFFFFFF)
        if start + length < self.payload_bytes:
            head[tcp_at + _FLAGS_AT] &= ~_FIN_PSH & 0xFF
        if start:
            head[tcp_at + _FLAGS_AT] &= ~_CWR & 0xFF
        # the sum of the pseudo header only: the receiving kernel counts on NEEDS_CSUM for the rest
        _WORD.pack_into(head, tcp_at + 16, _fold(self._pseudo_sum + total - self._ip_bytes))
        payload = self._view[self._payload_at + start : self._payload_at + start + length]
        return bytes(head), payload


def _fold(total: int) -> int:
    while total > 0xFFFF:  # noqa: PLR2004  (sixteen bits)
        total = (total & 0xFFFF) + (total >> 16)
    return total
