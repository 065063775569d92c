"""Write figures for a reader."""

from __future__ import annotations

import math

DASH = "\N{EN DASH}"


def number(value: float) -> str:
    """Write a figure with three significant digits and its zeros, thousands apart; NaN is a dash."""
    if math.isnan(value):
        return DASH
    if value >= 100:  # noqa: PLR2004 - three digits stand before the point
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"  # noqa: PLR2004 - three digits


def signed(value: float | None) -> str:
    """Write a figure that may be below zero, to a tenth; NaN is a dash, None nothing."""
    if value is None:
        return ""
    return DASH if math.isnan(value) else f"{value:.1f}"


def percent(share: float) -> str:
    """Write a share as a whole percentage; NaN is a dash."""
    return DASH if math.isnan(share) else f"{share:.0%}"
