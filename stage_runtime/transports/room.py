"""How many bytes a connection should let be on their way: enough to keep its link busy, and no more.

A sender that holds less than the bandwidth-delay product waits for acknowledgements while the link is idle;
what it holds beyond that only waits in queues.  Twice the product is what TCP needs to repair a loss without
a pause.  To that comes what the link carries while the process at either end does not run: under a CPU quota a
device's threads pause for up to a period (10 ms as shipped), the kernel's sending and receiving do not.
"""

from __future__ import annotations

_PAUSE_S = 0.010
_LEAST_BYTES = 256 * 1024
_MOST_BYTES = 16 * 2**20


def room_bytes(rate_mbit: float, round_trip_ms: float) -> int:
    """Give the bytes to let be in flight on a link of so many 10⁶ bits per second and such a round trip.

    From 256 KiB, below which nothing is gained, to 16 MiB.
    """
    bytes_per_s = rate_mbit * 1e6 / 8
    wanted = bytes_per_s * (2 * round_trip_ms / 1000 + _PAUSE_S)
    return int(min(max(wanted, _LEAST_BYTES), _MOST_BYTES))
