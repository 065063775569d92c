"""Cutting a TCP segment, held against a receiver that checks everything a kernel would."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from links.emulator.packets import VNET, VNET_BYTES, destination, pieces

SOURCE, TARGET = socket.inet_aton("10.214.1.11"), socket.inet_aton("10.214.1.12")
ACK, PSH, FIN, CWR = 0x10, 0x08, 0x01, 0x80


def ones_complement(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def pseudo_sum(tcp_bytes: int) -> int:
    return ones_complement(SOURCE + TARGET + struct.pack("!HH", socket.IPPROTO_TCP, tcp_bytes))


def segment(payload: bytes, *, size: int, sequence: int, identification: int, flags: int, options: int) -> bytes:
    tcp_bytes = 20 + options
    total = 20 + tcp_bytes + len(payload)
    ip = bytearray(struct.pack("!BBHHHBBH4s4s", 0x45, 0, total, identification, 0x4000, 64, 6, 0, SOURCE, TARGET))
    struct.pack_into("!H", ip, 10, 0xFFFF ^ ones_complement(bytes(ip)))
    check = pseudo_sum(tcp_bytes + len(payload))
    tcp = struct.pack("!HHLLBBHHH", 40000, 47300, sequence, 7, (tcp_bytes // 4) << 4, flags, 500, check, 0)
    head = VNET.pack(1, 1, 20 + tcp_bytes, size, 20, 16)
    return head + bytes(ip) + tcp + bytes(options) + payload


class Received:
    """One piece as the receiving kernel sees it; what is inconsistent fails the test."""

    def __init__(self, data: bytes) -> None:
        flags, self.gso_type, self.header_bytes, self.gso_size, start, offset = VNET.unpack_from(data)
        packet = data[VNET_BYTES:]
        assert (flags, start, offset) == (1, 20, 16)
        assert ones_complement(packet[:20]) == 0xFFFF, "the IP header's checksum"
        (total, self.identification) = struct.unpack_from("!HH", packet, 2)
        assert total == len(packet)
        tcp_bytes = (packet[32] >> 4) * 4
        (self.sequence,) = struct.unpack_from("!L", packet, 24)
        self.flags = packet[33]
        (check,) = struct.unpack_from("!H", packet, 36)
        assert check == pseudo_sum(len(packet) - 20), "the sum of the pseudo header"
        self.payload = packet[20 + tcp_bytes :]
        self.rest = packet[12:24] + packet[28:33] + packet[34:36] + packet[38 : 20 + tcp_bytes]


@given(
    length=st.integers(1, 20_000),
    size=st.integers(1, 1460),
    sequence=st.integers(0, 2**32 - 1),
    identification=st.integers(0, 2**16 - 1),
    options=st.sampled_from([0, 12, 20]),
    piece_bytes=st.integers(1514, 70_000),
)
def test_pieces_are_the_segment_again(
    *, length: int, size: int, sequence: int, identification: int, options: int, piece_bytes: int
) -> None:
    payload = (bytes(range(256)) * (length // 256 + 1))[:length]
    flags = ACK | PSH | FIN | CWR
    whole = segment(payload, size=size, sequence=sequence, identification=identification, flags=flags, options=options)
    cut = list(pieces(whole, piece_bytes))
    received = [Received(b"".join(buffers)) for _, _, buffers in cut]
    header = 14 + 20 + 20 + options

    assert b"".join(piece.payload for piece in received) == payload
    offset = 0
    for (frame_bytes, frames, _), piece in zip(cut, received, strict=True):
        assert piece.sequence == (sequence + offset) % 2**32
        assert piece.identification == (identification + offset // size) % 2**16
        assert frames == -(-len(piece.payload) // size)
        assert frame_bytes == len(piece.payload) + frames * header
        assert frames == 1 or frame_bytes <= piece_bytes
        assert len(cut) == 1 or (piece.gso_type != 0) == (len(piece.payload) > size)
        offset += len(piece.payload)
    assert {piece.rest for piece in received} == {Received(whole).rest}
    assert all(piece.flags & (PSH | FIN) == 0 for piece in received[:-1])
    assert received[-1].flags & (PSH | FIN) == PSH | FIN
    assert received[0].flags & CWR
    assert all(piece.flags & CWR == 0 for piece in received[1:])


def test_other_packets_pass_whole_with_an_ethernet_header_counted() -> None:
    packet = VNET.pack(0, 0, 0, 0, 0, 0) + bytes([0x45]) + bytes(99)
    assert list(pieces(packet, 1514)) == [(114, 1, (packet,))]


def test_destination_is_read_from_ipv4_alone() -> None:
    whole = segment(b"x", size=1, sequence=0, identification=0, flags=ACK, options=0)
    assert destination(whole) == TARGET
    assert destination(VNET.pack(0, 0, 0, 0, 0, 0) + bytes([0x60]) + bytes(60)) is None
    assert destination(whole[:20]) is None


@pytest.mark.parametrize("ecn", [0, 0x80])
def test_segment_with_congestion_bits_is_cut_like_any_other(ecn: int) -> None:
    whole = bytearray(segment(bytes(4000), size=1000, sequence=0, identification=0, flags=ACK, options=0))
    whole[1] |= ecn
    assert len(list(pieces(bytes(whole), 1514))) == 4
