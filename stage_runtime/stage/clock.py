"""Estimate how far the next stage's clock is ahead at each instant of a run, from pings over the same connection.

A ping that left at t0 and whose answer was back at t3 by this clock, t1 and t2 in between by the other,
says that the other is ahead by no more than ``t1 - t0`` and no less than ``t2 - t3``, since nothing
arrives before it was sent.  Of a train of pings the tightest of both bounds count, which belong to the
least delay of each direction; the middle between them is the estimate, wrong by at most half the distance.
With a single ping this is the estimate of RFC 5905, section 8; bounding by all of them goes back to Duda,
Harrus, Haddad and Bernard, "Estimating global time in distributed systems" (ICDCS 1987).

One train before the run and one after it give a line.  What the two differ by is drift only where it is
more than their errors, and no more than clocks can drift; on a link with long or uneven delays the
difference is mostly noise, and a slope drawn through it would move single batches for nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from stage_runtime.wire.messages import PingTrain

PINGS = 12
TRAINS = 2  # one before the run, one after
# A train lasts through two slices of a device whose processor quota is enforced every 10 ms, so that some
# ping meets it running.
PING_GAP_S = 0.0025
# Crystals are off by some 50 ppm; the kernel slews a clock by at most 500 ppm (adjtimex(2)).
MOST_DRIFT = 500e-6


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


def sum_up(train: Sequence[Exchange]) -> PingTrain:
    """Bound the offset by all exchanges of a train; its instant is the train's middle, by this clock."""
    if not train:
        raise ValueError("no ping was answered")
    most = min(one.arrived - one.sent for one in train)
    least = max(one.left - one.back for one in train)
    begin, end = min(one.sent for one in train), max(one.back for one in train)
    # the two bounds may come from both ends of the train, between which the clocks drift too
    drifted = round(MOST_DRIFT * (end - begin) / 2)
    return PingTrain(
        at_ns=(begin + end) // 2,
        offset_ns=(most + least) // 2,
        uncertainty_ns=max(0, most - least) // 2 + drifted + 1,
        round_trip_ns=min(one.round_trip for one in train),
    )


class ClockLine(NamedTuple):
    """The offset to the other clock over a run: a line through (``at``, ``offset``); nanoseconds of this clock.

    ``drift`` is how fast the offset grows, a ratio; 0 where none could be told from noise.
    """

    before: PingTrain
    after: PingTrain
    at: int
    offset: int
    drift: float
    jumped: bool

    def ahead(self, instant: int) -> int:
        """Give how far the other clock is ahead at an instant of this one."""
        return self.offset + round(self.drift * (instant - self.at))

    def here(self, theirs: int) -> int:
        """Give this clock's time when the other one showed ``theirs``."""
        return self.at + round((theirs - self.offset - self.at) / (1 + self.drift))

    def uncertainty(self, instant: int) -> int:
        """Give the greatest error of ``ahead`` at an instant.

        True of any clocks that drift evenly: the offset then lies on a line that passes both trains within
        their errors.  And true of clocks that drift by no more than ``MOST_DRIFT``, however unevenly, which
        says more where one train is much better than the other.
        """
        trains = (self.before, self.after)
        if self.jumped:
            return max(train.uncertainty_ns + abs(train.offset_ns - self.offset) for train in trains)
        away = [
            train.uncertainty_ns
            + round(MOST_DRIFT * abs(instant - train.at_ns))
            + abs(train.offset_ns - self.ahead(instant))
            for train in trains
        ]
        share = (instant - self.before.at_ns) / max(1, self.after.at_ns - self.before.at_ns)
        if not 0 <= share <= 1:
            return min(away)
        middle = _between(self.before.offset_ns, self.after.offset_ns, share)
        error = _between(self.before.uncertainty_ns, self.after.uncertainty_ns, share)
        return min(*away, error + abs(middle - self.ahead(instant)))


def fit(before: PingTrain, after: PingTrain) -> ClockLine:
    """Draw the line through two trains, level unless they differ by more than their errors and less than clocks drift.

    A level one takes the middle of what both allow.  Where they differ by more than both explain together, one
    of the clocks was set or stood still: then the line is level too, and the difference is its uncertainty.
    """
    change, span = after.offset_ns - before.offset_ns, after.at_ns - before.at_ns
    explained = before.uncertainty_ns + after.uncertainty_ns
    drifted = MOST_DRIFT * max(0, span)
    if explained < abs(change) <= drifted:
        return ClockLine(before, after, before.at_ns, before.offset_ns, change / span, jumped=False)
    least = max(train.offset_ns - train.uncertainty_ns for train in (before, after))
    most = min(train.offset_ns + train.uncertainty_ns for train in (before, after))
    return ClockLine(before, after, before.at_ns, (least + most) // 2, 0.0, jumped=abs(change) > explained + drifted)


def _between(start: int, end: int, share: float) -> int:
    return start + round(share * (end - start))


class PingBook:
    """Keeps the pings of one hop; the run's thread sends, the receiving thread records."""

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
    def answered(self) -> bool:
        """Say whether every ping of the trains begun so far was answered.

        That none is unanswered just now would not do: the next may be about to be sent.
        """
        return sum(map(len, self._trains)) == len(self._trains) * PINGS

    @property
    def complete(self) -> bool:
        """Say whether every ping of both trains was answered."""
        return len(self._trains) == TRAINS and self.answered

    def trains(self) -> tuple[PingTrain, PingTrain]:
        """Sum up the first and the last train."""
        return sum_up(self._trains[0]), sum_up(self._trains[-1])
