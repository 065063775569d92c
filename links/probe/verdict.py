"""What a link should measure as, and whether it does.  Pure."""

from __future__ import annotations

import msgspec

from links.conditions import FRAME_BYTES, LinkSpec
from links.probe.wire import DATAGRAM_BYTES, MESSAGE_BYTES, MESSAGE_PACKETS, MOST_BYTES, MOST_PACKETS

TOLERANCE = 0.10
TOLERANCE_MS = 1.0
_PING_FRAME_BYTES = 77
# IPv4 and TCP headers with the timestamp option, and Ethernet's: what a full TCP packet adds
TCP_OVERHEAD_BYTES = 66
TCP_PAYLOAD_BYTES = FRAME_BYTES - TCP_OVERHEAD_BYTES
_BULK_S = 0.5
_LEAST_BYTES = 1 << 20
_FASTEST_TRAIN_MBIT = 100.0


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What one direction measured.

    ``rtt_ms`` is the median and ``rtt_min_ms`` the least of several pings over both directions.
    ``message_ms``: 64 KiB from the first byte sent to the last received, TCP's ramp excluded.
    ``bulk_mbit`` counts all headers down to Ethernet's, so it compares with the rate asked for;
    ``goodput_mbit`` is the payload alone (about 4.5 % less).  ``method`` is ``tcp`` or ``train`` (UDP).
    """

    rtt_ms: float
    rtt_min_ms: float
    message_ms: float
    bulk_mbit: float
    goodput_mbit: float
    method: str


def uses_train(spec: LinkSpec) -> bool:
    """Tell whether a direction is measured by a UDP train.

    On a slow link TCP's ramp takes longer than the measurement, and under loss TCP's rate is not the
    link's.  Fast links go by TCP, whose segments spare the devices a packet rate that they could
    not reach one by one.
    """
    return spec.loss_percent > 0 or (spec.rate_mbit is not None and spec.rate_mbit <= _FASTEST_TRAIN_MBIT)


def train_packets(spec: LinkSpec) -> int:
    """Give the packets of a train: half a second at the rate, within bounds, a message at least."""
    rate = MOST_PACKETS if spec.rate_mbit is None else spec.rate_mbit * _BULK_S * 1e6 / 8 / FRAME_BYTES
    kept = 1 - spec.loss_percent / 100
    return round(min(MOST_PACKETS, max(2 * MESSAGE_PACKETS / kept, rate)))


def bulk_bytes(spec: LinkSpec) -> int:
    """Give the bytes of a bulk transfer over TCP: half a second at the rate, within bounds."""
    if spec.rate_mbit is None:
        return MOST_BYTES
    return int(min(MOST_BYTES, max(_LEAST_BYTES, spec.rate_mbit * _BULK_S * 1e6 / 8)))


def expected_message_ms(spec: LinkSpec, method: str) -> float:
    """Give what 64 KiB should take one way."""
    packets = MESSAGE_PACKETS if method == "train" else -(-MESSAGE_BYTES // TCP_PAYLOAD_BYTES)
    overhead = FRAME_BYTES - DATAGRAM_BYTES if method == "train" else TCP_OVERHEAD_BYTES
    return spec.delay_ms + spec.wire_ms(MESSAGE_BYTES + packets * overhead)


def expected_rtt_ms(there: LinkSpec, back: LinkSpec) -> float:
    """Give what a ping should take, there and back."""
    serialised = there.wire_ms(_PING_FRAME_BYTES) + back.wire_ms(_PING_FRAME_BYTES)
    return there.delay_ms + back.delay_ms + serialised


def problems(there: LinkSpec, back: LinkSpec, measured: Measured) -> list[str]:
    """Name what is further than 10 % (or 1 ms) off what was asked; empty for a good link.

    Jitter widens the times by itself.  A link that is asked for nothing is not judged, and one
    without a rate is judged by its round trip alone.
    """
    if not (there.shaped or back.shaped):
        return []
    jitter = there.jitter_ms + back.jitter_ms
    found = [_off("round trip", measured.rtt_min_ms, expected_rtt_ms(there, back), jitter)]
    if there.rate_mbit is not None:
        message = expected_message_ms(there, measured.method)
        found.append(_off("64 KiB message", measured.message_ms, message, there.jitter_ms))
        if abs(measured.bulk_mbit - there.rate_mbit) > TOLERANCE * there.rate_mbit:
            found.append(
                f"bulk transfer {measured.bulk_mbit:.4g} Mbit/s with headers, asked {there.rate_mbit:g} Mbit/s"
            )
    return [problem for problem in found if problem is not None]


def _off(what: str, got_ms: float, expected_ms: float, jitter_ms: float) -> str | None:
    allowed = max(TOLERANCE_MS, TOLERANCE * expected_ms) + jitter_ms
    if abs(got_ms - expected_ms) <= allowed:
        return None
    return f"{what} {got_ms:.3f} ms, expected {expected_ms:.3f} ms ± {allowed:.3f} ms"
