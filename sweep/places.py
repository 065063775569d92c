"""Where this checkout keeps what a sweep makes."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
CACHE = CHECKOUT / ".splitbed" / "cache"
LOCKS = CHECKOUT / ".splitbed" / "locks"
WORK = CHECKOUT / ".splitbed" / "work"
