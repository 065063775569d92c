"""One instant by which everything of a run must be over."""

from __future__ import annotations

import time

# Threads that only move bytes wait a little longer than the run's own thread, which knows whom to blame.
SLACK_S = 5.0
# About four months; what takes longer has no limit, and the kernel knows of none that is much longer.
MOST_S = 1e7


class Deadline:
    """Counts down; shared by all threads of a run."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + min(seconds, MOST_S)

    def left_s(self, slack_s: float = 0.0) -> float:
        """Give what is left and ``slack_s``, never less than a millisecond (no call may wait for ever)."""
        return max(0.001, self._end + slack_s - time.monotonic())

    @property
    def over(self) -> bool:
        """Say whether the time has come."""
        return time.monotonic() >= self._end
