"""How much a direction holds, counted as netem counts."""

from __future__ import annotations

import pytest

from links.conditions import LinkSpec
from links.emulator.engine import Direction, Engine
from tests.links.emulator.test_packets import ACK, segment

_FRAMES = 10
_SPEC = LinkSpec(rate_mbit=50, delay_ms=5)
_LOSSY = LinkSpec(rate_mbit=50, delay_ms=5, loss_percent=1e-9)


@pytest.mark.parametrize(("spec", "packets"), [(_SPEC, 1), (_LOSSY, _FRAMES)], ids=["whole", "lossy"])
def test_segments_fill_the_queue_as_one_packet_where_none_are_lost_and_one_by_one_where_some_are(
    spec: LinkSpec, packets: int
) -> None:
    engine = Engine(lambda: None)
    direction = Direction(source="10.214.1.11", target="10.214.1.12", spec=spec, seed=1)
    whole = segment(bytes(1448 * _FRAMES), size=1448, sequence=1, identification=1, flags=ACK, options=12)
    fit = direction.schedule.limit_packets // packets
    for _ in range(fit):
        engine._schedule(direction, whole)
    assert (direction.queued, direction.packets, direction.overflowed) == (fit * packets, fit * _FRAMES, 0)
    for _ in range(2 if packets == 1 else 1):
        engine._schedule(direction, whole)
    left = direction.schedule.limit_packets - fit * packets
    assert direction.queued == direction.schedule.limit_packets
    assert direction.overflowed == (2 * _FRAMES if packets == 1 else _FRAMES - left)
    while direction.queue:
        engine._deliver_first(direction)
    assert direction.queued == 0
