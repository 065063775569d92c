"""When a packet arrives: rate, delay, jitter and loss of one direction.  Pure: time is passed in."""

from __future__ import annotations

import random

from links.conditions import FRAME_BYTES, LinkSpec, queue_packets

# A segment that the kernel hands over whole (up to 64 KiB) is cut so that no piece occupies the
# link longer than this: a receiver's acknowledgement must not wait for bytes that a real link
# would still be sending.
_PIECE_NS = 1_000_000
_WHOLE_SEGMENT_BYTES = 1 << 17  # above any segment's bytes, the headers of its packets included


class Schedule:
    """The departure times of one direction; ``loses`` says whether any of its packets are lost, each by itself.

    The arithmetic is netem's (``netem_enqueue`` with a rate): a packet arrives at
    ``max(now + delay, arrival of the one before) + its bytes over the rate``, so packets never
    overtake each other and jitter never lifts the rate.
    """

    def __init__(self, spec: LinkSpec, seed: int) -> None:
        """Begin with an idle link; ``seed`` fixes the draws of jitter and loss."""
        self.spec = spec
        self.limit_packets = queue_packets(spec)
        self._random = random.Random(seed)  # noqa: S311  (emulated noise, nothing secret)
        self._ns_per_byte = 0.0 if spec.rate_mbit is None else 8000 / spec.rate_mbit
        self._delay_ns = round(spec.delay_ms * 1e6)
        self._jitter_ns = spec.jitter_ms * 1e6
        self._loss = spec.loss_percent / 100
        self.loses = self._loss > 0
        self._last_ns = 0

    @property
    def piece_bytes(self) -> int:
        """Give the most frame bytes that one piece may have (loss falls on single packets)."""
        if self.loses:
            return FRAME_BYTES
        if not self._ns_per_byte:
            return _WHOLE_SEGMENT_BYTES
        return max(FRAME_BYTES, min(_WHOLE_SEGMENT_BYTES, int(_PIECE_NS / self._ns_per_byte)))

    def is_lost(self) -> bool:
        """Draw whether the next packet is lost."""
        return self.loses and self._random.random() < self._loss

    def arrival_ns(self, now_ns: int, frame_bytes: int) -> int:
        """Take a packet of ``frame_bytes`` at ``now_ns`` and give the time of its arrival."""
        delay = self._delay_ns
        if self._jitter_ns:
            delay += round(self._random.uniform(-self._jitter_ns, self._jitter_ns))
        begin = max(now_ns + delay, self._last_ns)
        self._last_ns = begin + round(frame_bytes * self._ns_per_byte)
        return self._last_ns
