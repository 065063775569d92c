"""Made-up results: three rounds on a link whose figures are known."""

from __future__ import annotations

from bench.payloads.results import Goodput, IdleTime, OnLink, Payloads, Round, RoundTrip

KIB, MIB = 1024, 2**20
# share of iperf3's 900 and 1000 Mbit/s, by payload, in three rounds
SHARES = {4 * KIB: (0.5, 0.5, 0.5), 256 * KIB: (0.97, 0.96, 0.98), 64 * MIB: (0.99, 0.98, 1.0)}


def a_round(number: int, iperf: tuple[float, ...] = (900.0, 1000.0)) -> Round:
    goodputs = [
        Goodput(transport=transport, payload_bytes=size, frames=4, mbit=950 * shares[number] * factor)
        for transport, factor in (("rpc", 0.5), ("tcp", 1.0))
        for size, shares in reversed(SHARES.items())
    ]
    trips = [
        RoundTrip(over=over, payload_bytes=4 * KIB, count=100, ms=factor * (1 + number / 100))
        for over, factor in (("bare", 1.0), ("tcp", 1.2), ("rpc", 4.0))
    ]
    return Round(iperf_mbit=iperf, goodputs=tuple(goodputs), round_trips=tuple(trips))


def a_link(**different: object) -> OnLink:
    given = {
        "network": "lan",
        "condition": {"rate_mbit": 1000, "delay_ms": 0.2},
        "room_bytes": 1_350_000,
        "rounds": tuple(a_round(number) for number in range(3)),
    }
    return OnLink(**given | different)


def results(*links: OnLink, idle: tuple[IdleTime, ...] = ()) -> Payloads:
    device = {"tcp": {"congestion_control": "cubic", "slow_start_after_idle": "0"}}
    return Payloads(started="2026-01-01T00:00:00+00:00", device=device, links=links, idle=idle)
