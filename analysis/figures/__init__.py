"""Drawing, and nothing but drawing: what is shown was computed before and is handed in frozen."""

from __future__ import annotations
