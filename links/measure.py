"""Probe a device's links to the later devices of its chain, and judge what was measured."""

from __future__ import annotations

import time
from typing import Any

from links.conditions import LinkSpec
from links.orders import Plan
from links.probe.client import measure_pair
from links.probe.verdict import Measured, problems

# Pauses before a pair is measured again: what disturbs a probe often lasts for seconds.
_PAUSES_S = (0.5, 2.0, 5.0)


def measure(plan: Plan) -> dict[str, Any]:
    """Measure every pair of this device and a later one, both directions, one pair after the other.

    Gives ``directions`` (source, target and the figures of each) and ``problems`` (one text each; empty
    when every link is what was asked for).  A pair that is off is measured again before it counts:
    a busy machine disturbs a probe, but it does not make a wrong link right.
    """
    directed = plan.directed()
    names = [device.name for device in plan.chain]
    directions, found = [], []
    for peer in names[names.index(plan.device) + 1 :]:
        there, back = directed[plan.device, peer], directed[peer, plan.device]
        pair, off = _measure_until_good(plan, peer, there, back)
        ends = ((plan.device, peer), (peer, plan.device))
        for (source, target), measured in zip(ends, pair, strict=True):
            directions.append({"source": source, "target": target, **_figures(measured)})
        found += off
    return {"directions": directions, "problems": found}


def _measure_until_good(
    plan: Plan, peer: str, there: LinkSpec, back: LinkSpec
) -> tuple[tuple[Measured, Measured], list[str]]:
    pair, off = _measure_once(plan, peer, there, back)
    for pause_s in _PAUSES_S:
        if not off:
            break
        time.sleep(pause_s)
        pair, off = _measure_once(plan, peer, there, back)
    return pair, off


def _measure_once(
    plan: Plan, peer: str, there: LinkSpec, back: LinkSpec
) -> tuple[tuple[Measured, Measured], list[str]]:
    pair = measure_pair(source=plan.address, target=plan.address_of(peer), port=plan.probe_port, there=there, back=back)
    off = [f"{plan.device} → {peer}: {text}" for text in problems(there, back, pair[0])]
    off += [f"{peer} → {plan.device}: {text}" for text in problems(back, there, pair[1])]
    return pair, off


def _figures(measured: Measured) -> dict[str, float | str]:
    return {
        "rtt_ms": round(measured.rtt_ms, 3),
        "rtt_min_ms": round(measured.rtt_min_ms, 3),
        "message_ms": round(measured.message_ms, 3),
        "bulk_mbit": round(measured.bulk_mbit, 3),
        "goodput_mbit": round(measured.goodput_mbit, 3),
        "method": measured.method,
    }
