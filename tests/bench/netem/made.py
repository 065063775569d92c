"""Figures of a link that never was."""

from __future__ import annotations

import random
from typing import Any

from bench.netem.results import Measured, Results, Side

LTE = {"rate_mbit": 20, "delay_ms": 25, "jitter_ms": 5}
LOSSY = {"rate_mbit": 50, "delay_ms": 5, "loss_percent": 2}


def measured(condition: dict[str, Any], *, seed: int = 1, source: str = "a", **different: Any) -> Measured:
    """Give figures as a link has them that does what it is asked to."""
    draws = random.Random(seed)  # noqa: S311 - made-up noise
    delay, jitter = condition["delay_ms"] + 0.1, condition.get("jitter_ms", 0)
    asked_to_lose = condition.get("loss_percent")
    figures: dict[str, Any] = {
        "source": source,
        "target": "b" if source == "a" else "a",
        "in_force": {},
        "rates_mbit": tuple(condition["rate_mbit"] * share for share in (0.99, 1.0, 1.3)),
        "messages_ms": (52.0, 52.5, 90.0),
        "delays_ms": tuple(draws.uniform(delay - jitter, delay + jitter) for _ in range(500)),
        "sent": 20_000 if asked_to_lose else None,
        "lost": round(200 * asked_to_lose) if asked_to_lose else None,
        "dropped": round(200 * asked_to_lose) if asked_to_lose else 0,
    }
    return Measured(**{**figures, **different})


def results(**asked: dict[str, Any]) -> Results:
    """Give both sides of some conditions."""
    sides = {
        name: Side(
            backend=backend,
            kernel=kernel,
            conditions={
                network: (
                    measured(condition, seed=seed),
                    measured(condition, seed=seed + 1, source="b"),
                )
                for network, condition in asked.items()
            },
        )
        for name, backend, kernel, seed in (("netem", "tc", "6.1", 1), ("emulator", "user", "6.18", 3))
    }
    return Results(started="2026-01-01T00:00:00+00:00", asked=asked, **sides)
