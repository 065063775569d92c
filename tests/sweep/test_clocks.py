"""A device whose clock on the wall is wrong is noticed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sweep.clocks import clock_warnings
from tests.sweep.support import good

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("started", "elapsed_s", "said"),
    [
        ("2026-01-01T11:59:58+00:00", 2.0, None),
        ("2026-01-01T11:50:02+00:00", 600.0, None),
        ("2026-01-01T11:59:05+00:00", 5.0, None),
        ("2026-01-01T10:59:50+00:00", 10.0, "one is 3600 s behind the control node"),
        ("2026-01-01T12:59:55+01:00", 5.0, None),
        ("2026-01-01T12:02:00+00:00", 0.5, "one is 120 s ahead of the control node"),
        ("1970-01-01T00:00:20+00:00", 1.0, "behind the control node"),
        ("", 0.0, None),
    ],
)
def test_only_a_clock_that_is_off_by_more_than_a_minute_is_warned_of(
    started: str, elapsed_s: float, said: str | None
) -> None:
    warnings = clock_warnings("one", good(started=started, elapsed_s=elapsed_s), NOW)
    assert len(warnings) == (said is not None)
    assert all(said in text and text.startswith("clock: ") for text in warnings if said)
