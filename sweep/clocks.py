"""Notice a device whose clock on the wall is wrong.

Nothing that is measured rests on it: stages time by clocks that nobody sets.  But ``started`` is the first device's.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from stage_runtime.formats.row import Measurement

# More than it takes a run's result to come here.
_MOST_S = 60.0


def clock_warnings(device: str, measurement: Measurement, now: datetime | None = None) -> tuple[str, ...]:
    """Say by how much `device`, which said when the run started, is off this machine's clock, where that is much."""
    if not measurement.started:
        return ()
    ended = datetime.fromisoformat(measurement.started) + timedelta(seconds=measurement.elapsed_s)
    ahead_s = (ended - (now or datetime.now(UTC))).total_seconds()
    if abs(ahead_s) <= _MOST_S:
        return ()
    where = "ahead of" if ahead_s > 0 else "behind"
    return (f"clock: {device} is {abs(ahead_s):.0f} s {where} the control node, and `started` is by its clock",)
