"""Filters of the link_shape role: read what the device's command printed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_FIGURES = ("rtt_ms", "message_ms", "bulk_mbit")


def link_shape_answer(result: Mapping[str, Any]) -> dict[str, Any]:
    """Give the JSON object that a task's command printed; ``{"error": …}`` when it printed none.

    A skipped task answers nothing, which is ``{}``.
    """
    if result.get("skipped"):
        return {}
    lines = str(result.get("stdout", "")).strip().splitlines()
    try:
        answer = json.loads(lines[-1]) if lines else None
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return answer
    said = " ".join(f"{result.get('stdout', '')} {result.get('stderr', '')} {result.get('msg', '')}".split())
    return {"error": f"the command ended with status {result.get('rc')} and said: {said or 'nothing'}"}


def link_shape_problems(result: Mapping[str, Any]) -> list[str]:
    """Give what a probe found to be off, or why there was no probe."""
    answer = link_shape_answer(result)
    return [str(answer["error"])] if "error" in answer else [str(text) for text in answer.get("problems", [])]


def link_shape_directions(shaped: Mapping[str, Any], probes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Join the links that a device shaped with what any device of the chain measured of them."""
    measured = {
        (figures["source"], figures["target"]): figures
        for probe in probes
        for figures in link_shape_answer(probe).get("directions", [])
    }
    return [
        link | {key: measured.get((link["source"], link["target"]), {}).get(key) for key in _FIGURES}
        for link in link_shape_answer(shaped).get("links", [])
    ]


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filters."""
        return {
            "link_shape_answer": link_shape_answer,
            "link_shape_problems": link_shape_problems,
            "link_shape_directions": link_shape_directions,
        }
