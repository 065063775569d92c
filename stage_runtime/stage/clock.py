"""Estimate how far the next stage's clock is ahead, from pings over the same connection.

The estimate is the classic one (RFC 5905, section 8): with the ping leaving at t0 and the pong
arriving at t3 by this clock, t1 and t2 in between by the other, the other is ahead by
``((t1 - t0) + (t2 - t3)) / 2``, wrong by at most half the round trip ``(t3 - t0) - (t2 - t1)``.  Of
many pings the one with the shortest round trip counts, since delay only ever adds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

PINGS = 6
TRAINS = 2  # one before the run, one after
# Further apart than a scheduler's slice of a throttled device together, yet no load on the link.
PING_GAP_S = 0.003


class Exchange(NamedTuple):
    """One ping and its pong: sent and back by this clock, arrived and left by the other; nanoseconds."""

    sent: int
    arrived: int
    left: int
    back: int

    @property
    def round_trip(self) -> int:
        """The time on the link, both ways."""
        return (self.back - self.sent) - (self.left - self.arrived)

    @property
    def offset(self) -> int:
        """How far the other clock is ahead."""
        return ((self.arrived - self.sent) + (self.left - self.back)) // 2


class ClockEstimate(NamedTuple):
    """The offset to the other clock, its greatest possible error, and the shortest round trip; nanoseconds."""

    offset: int
    uncertainty: int
    round_trip: int


def estimate(before: Iterable[Exchange], after: Iterable[Exchange]) -> ClockEstimate:
    """Estimate from the exchanges before and after a run.

    The better of the two trains gives the offset; if the clocks drifted apart in between by more than its
    own error, that is the uncertainty.
    """
    trains = [min(train, key=lambda one: one.round_trip) for train in (list(before), list(after)) if train]
    if not trains:
        raise ValueError("no ping was answered")
    best = min(trains, key=lambda one: one.round_trip)
    drift = abs(trains[0].offset - trains[-1].offset)
    return ClockEstimate(best.offset, max(best.round_trip // 2, drift), best.round_trip)


class PingBook:
    """Keeps the pings of one hop; the cell's thread sends, the receiving thread records."""

    def __init__(self, now_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._sent: dict[int, int] = {}
        self._trains: list[list[Exchange]] = []

    def send_train(self, send: Callable[[int], None]) -> None:
        """Send a train of pings without waiting for any; ``send`` is told each one's number."""
        self._trains.append([])
        first = len(self._trains) * PINGS
        for number in range(first, first + PINGS):
            if number > first:
                time.sleep(PING_GAP_S)
            with self._lock:
                self._sent[number] = self._now_ns()
            send(number)

    def record(self, number: int, arrived_ns: int, left_ns: int, back_ns: int) -> None:
        """Note a pong; raises KeyError for a ping that was never sent."""
        with self._lock:
            exchange = Exchange(self._sent.pop(number), arrived_ns, left_ns, back_ns)
        self._trains[number // PINGS - 1].append(exchange)

    @property
    def complete(self) -> bool:
        """Say whether every ping of both trains was answered.

        That none is unanswered just now would not do: the next may be about to be sent.
        """
        return sum(map(len, self._trains)) == TRAINS * PINGS

    def estimate(self) -> ClockEstimate:
        """Estimate from the first and the last train."""
        return estimate(self._trains[0], self._trains[-1])
