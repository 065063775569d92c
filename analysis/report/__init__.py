"""The report: one HTML file that needs no other."""

from __future__ import annotations
