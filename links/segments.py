"""How much TCP hands a link at once: single packets where the link loses any.

TCP builds segments of up to 64 KiB, whatever the card can do (``ethtool -K … gso off`` does not keep it from that), and
they are cut behind the qdisc: netem loses such a segment as a whole.  Loss is promised per packet, so while a link
loses any, its interface takes one packet a segment.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from links import execute
from stage_runtime.errors import LinkError

SINGLE = 1
_FLUSH_ROUTES = Path("/proc/sys/net/ipv4/route/flush")


def most_packets(interface: str) -> int:
    """Give how many packets a segment on the interface may have; LinkError where the kernel does not say."""
    for entry in execute.run_json(("ip", "-j", "-d", "link", "show", "dev", interface)):
        if "gso_max_segs" in entry:
            return int(entry["gso_max_segs"])
    raise LinkError(
        f"{interface}: `ip -d link` does not say how many packets a segment may have, so loss would fall on up to 44 "
        "packets at a time; install a newer iproute2, or choose a network without loss_percent"
    )


def limit(interface: str, packets: int) -> None:
    """Let a segment have so many packets at most, also on connections that are there already."""
    execute.run(("ip", "link", "set", "dev", interface, "gso_max_segs", str(packets)))
    # a connection keeps what it learnt of the interface as long as it keeps its route
    with contextlib.suppress(OSError):
        _FLUSH_ROUTES.write_text("1\n", encoding="ascii")


def put_back(interface: str, packets: int | None) -> None:
    """Put the former limit back (None: it was not changed); an interface that is gone needs nothing."""
    if packets is not None and execute.has_interface(interface):
        limit(interface, packets)
