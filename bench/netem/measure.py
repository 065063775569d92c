"""Measure one condition between a bed's two hosts: read it back, probe it, and time single datagrams."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench.netem.beds import NAMES, Bed
from bench.netem.results import FRAME_BYTES, PAYLOAD_BYTES, Measured, Side
from bench.testbed import BenchError, finish, last_json
from links.conditions import LinkSpec, parse_condition

_SCRIPT = (Path(__file__).parent / "stream.py").read_text(encoding="utf-8")
# One process for all rounds: an emulated processor takes seconds to start one.
_PROBE = """
import json, sys
from links.measure import measure
from links.orders import decode_plan
print(json.dumps([measure(decode_plan(sys.argv[1])) for _ in range(int(sys.argv[2]))]))
"""
_PORT = 47310
_PROBE_PORT = 47301
_TAIL_S = 0.3
_TIMEOUT_S = 300.0


class Amounts(NamedTuple):
    """How much is measured: rounds of the probe, datagrams that are timed (with and without jitter) or counted."""

    rounds: int = 3
    with_jitter: int = 500
    without_jitter: int = 100
    counted: int = 20_000


def measure_side(bed: Bed, conditions: Mapping[str, Mapping[str, Any]], amounts: Amounts) -> Side:
    """Have the role put each condition in force, measure it, and have it taken off again.

    Raises BenchError where the role fails, which it does when a link is not what was asked for.
    """
    found = {}
    for network in conditions:
        bed.shape(network, conditions)
        found[network] = measure(bed, network, conditions[network], amounts)
        bed.clear()
    return Side(backend=bed.backend, kernel=bed.kernel, conditions=found)


def measure(bed: Bed, network: str, condition: Mapping[str, Any], amounts: Amounts) -> tuple[Measured, Measured]:
    """Measure both directions under a condition that is in force."""
    specs = parse_condition(network, condition).directed(NAMES)
    rounds = _probe(bed, network, condition, amounts.rounds)
    streams = {}
    for (source, target), spec in specs.items():
        delays = _delays_ms(bed, source, target, spec, amounts)
        streams[source, target] = (delays, *_losses(bed, source, target, spec, amounts))
    both = []
    for source, target in (NAMES, NAMES[::-1]):
        delays_ms, sent, lost = streams[source, target]
        probes = [figures for taken in rounds for figures in taken if figures["source"] == source]
        in_force, dropped = read_back(bed, source, target)
        both.append(
            Measured(
                source=source,
                target=target,
                in_force=in_force,
                rates_mbit=tuple(figures["bulk_mbit"] for figures in probes),
                messages_ms=tuple(figures["message_ms"] for figures in probes),
                delays_ms=delays_ms,
                sent=sent,
                lost=lost,
                dropped=dropped,
            )
        )
    return both[0], both[1]


def read_back(bed: Bed, source: str, target: str) -> tuple[dict[str, Any], int]:
    """Give what the backend says is in force from one host to another, and what it dropped; nothing: ({}, 0)."""
    shown = _links(bed, source, "show", "--run-dir", bed.run_dir(source))
    if shown["backend"] == "tc":
        for qdisc in shown["qdiscs"]:
            if qdisc["kind"] == "netem":
                return qdisc["options"], qdisc["drops"]
    for link in shown.get("links", ()):
        if link["target"] == bed.hosts.data_address(target):
            return link["spec"], link["lost_packets"] + link["overflowed_packets"]
    return {}, 0


def _probe(bed: Bed, network: str, condition: Mapping[str, Any], rounds: int) -> list[list[dict[str, Any]]]:
    """Measure as the role does, from the first host, some rounds: both directions in each."""
    plan = {
        "owner": "netem",
        "ttl_s": 1,
        "run_dir": bed.run_dir(NAMES[0]),
        "device": NAMES[0],
        "chain": [{"name": name, "address": bed.hosts.data_address(name)} for name in NAMES],
        "network": {"name": network, "condition": dict(condition)},
        "probe_port": _PROBE_PORT,
    }
    words = [bed.python, "-B", "-c", _PROBE, json.dumps(plan), str(rounds)]
    return [answer["directions"] for answer in last_json(bed.hosts.run(NAMES[0], words))]


def _links(bed: Bed, name: str, *words: str) -> dict[str, Any]:
    answer = last_json(bed.hosts.run(name, [bed.python, "-B", "-m", "links", *words]))
    if not isinstance(answer, dict):
        raise BenchError(f"{name}: `links {words[0]}` answered {answer!r}, which is no JSON object")
    return answer


def _delays_ms(bed: Bed, source: str, target: str, spec: LinkSpec, amounts: Amounts) -> tuple[float, ...]:
    """Time datagrams so far apart that none waits for the one before, whatever their jitter."""
    gap_ms = 2 * spec.jitter_ms + 2 * spec.wire_ms(FRAME_BYTES) + 1
    count = amounts.with_jitter if spec.jitter_ms else amounts.without_jitter
    sent, arrived = _stream(bed, source, target, spec, count=count, gap_ms=gap_ms)
    return tuple((arrived[number] - stamp) / 1e6 for number, stamp in enumerate(sent) if number in arrived)


def _losses(bed: Bed, source: str, target: str, spec: LinkSpec, amounts: Amounts) -> tuple[int | None, int | None]:
    """Count what arrives of many datagrams at half the link's rate; None for both where no loss is asked for."""
    if not spec.loss_percent:
        return None, None
    sent, arrived = _stream(bed, source, target, spec, count=amounts.counted, gap_ms=2 * spec.wire_ms(FRAME_BYTES))
    return len(sent), len(sent) - len(arrived)


def _stream(
    bed: Bed, source: str, target: str, spec: LinkSpec, *, count: int, gap_ms: float
) -> tuple[list[int], dict[int, int]]:
    """Send a stream and give when each datagram was sent, and when those that did arrived, by their number."""
    addresses = [bed.hosts.data_address(name) for name in (source, target)]
    tail_s = _TAIL_S + (spec.delay_ms + spec.jitter_ms) / 1000
    sending = [addresses[0], addresses[1], _PORT, count, PAYLOAD_BYTES, gap_ms * 1000, tail_s]
    receiving = [bed.python, "-I", "-S", "-c", _SCRIPT, "receive", addresses[1], str(_PORT)]
    with bed.hosts.start(target, receiving, stdin=subprocess.PIPE) as receiver:
        assert receiver.stdout is not None
        first = receiver.stdout.readline().strip()
        if first != "ready":
            raise BenchError(f"{target}: the receiver said {first!r} where `ready` was due")
        words = [bed.python, "-I", "-S", "-c", _SCRIPT, "send", *map(str, sending)]
        sent = last_json(bed.hosts.run(source, words, timeout_s=_TIMEOUT_S))
        arrived = last_json(finish(receiver, f"{target}: the receiver", _TIMEOUT_S))
    return sent, {int(number): stamp for number, stamp in arrived.items()}
