"""Tests that boot a guest take minutes: they run when they are asked for by their mark."""

from __future__ import annotations

import pytest

from bench.netem.guest import why_not


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip them, with the reason, where nobody asked for them or this machine cannot run them."""
    asked = "netem" in config.option.markexpr.replace("not netem", "")
    reason = why_not() if asked else "boots a guest, which takes minutes: make test-netem"
    for item in items:
        if reason is not None and item.get_closest_marker("netem") is not None:
            item.add_marker(pytest.mark.skip(reason=reason))
