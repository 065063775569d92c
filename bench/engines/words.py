"""The speeds as Markdown: a sentence on each target, a table of all."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from analysis.numbers import number
from bench.contest.tables import times
from bench.document import markdown_table
from bench.engines.compute import RIVALS, Slowing, Speed, geometric_mean
from bench.engines.orders import CONTESTANTS, EAGER, PLAIN


class Target(NamedTuple):
    """How many times as fast as plain PyTorch ONNX Runtime is to be: the geometric mean, or one model alone."""

    batch: int
    least: float
    model: str = ""


TARGETS = (Target(1, 1.6), Target(8, 1.8), Target(8, 4.0, "mobilenet_v2"))
_JUDGED = "onnxruntime"
_HOW = (
    "Whole models on one core; each time is the median over rounds in which the engines took turns, each ratio has the "
    f"95 % interval of its rounds. `{PLAIN.name}` gives freed memory back to the system, as any Python program does; a "
    f"stage keeps it, which is `{EAGER.name}` here."
)


def text(found: Sequence[Speed]) -> str:
    """Write the section's body."""
    if not found:
        return "Nothing was measured."
    said = [_HOW, *(_judge(target, found) for target in TARGETS)]
    heads = ["model", "batch", "engine", "ms", f"times {PLAIN.name}", f"times {EAGER.name}"]
    lines = [
        [
            one.model, str(one.batch), one.contestant, number(one.ms),
            _against(one, PLAIN.name), _against(one, EAGER.name),
        ]
        for one in found
    ]  # fmt: skip
    lines += [
        [
            "geometric mean", str(batch), one.name, "",
            _mean(found, one.name, batch, PLAIN.name), _mean(found, one.name, batch, EAGER.name),
        ]
        for batch in dict.fromkeys(speed.batch for speed in found)
        for one in CONTESTANTS
    ]  # fmt: skip
    return "\n\n".join([*filter(None, said), markdown_table(heads, lines)])


def beside_text(found: Sequence[Slowing]) -> str:
    """Write what computing on another core costs; empty where nothing had a neighbour."""
    if not found:
        return ""
    values = sorted(one.ratio.value for one in found)
    middle = statistics.median(values)
    said = (
        "Two stages on one machine share its caches and its memory: while the same engine computes on another core, "
        f"a batch takes {values[0]:.2f} to {values[-1]:.2f} times as long (median {middle:.2f}). The bounds are of "
        "stages alone and do not know of this, so on this machine a throughput of "
        f"{1 / middle:.2f} times the bound is what two such stages can reach."
    )
    heads = ["model", "batch", "engine", "times as long"]
    lines = [[one.model, str(one.batch), one.contestant, times(one.ratio)] for one in found]
    return f"{said}\n\n{markdown_table(heads, lines)}"


def _judge(target: Target, found: Sequence[Speed]) -> str:
    """Say whether a target is met, against plain PyTorch as a stage runs it and as it comes."""
    told = []
    for rival in RIVALS:
        if target.model:
            values = [
                one.against[rival].value
                for one in found
                if (one.model, one.batch, one.contestant) == (target.model, target.batch, _JUDGED)
                and rival in one.against
            ]
            value = values[0] if values else math.nan
        else:
            value = geometric_mean(found, _JUDGED, target.batch, rival)
        if not math.isnan(value):
            told.append(f"{value:.2f} times {rival} ({'met' if value >= target.least else 'missed'})")
    whose = target.model or "geometric mean"
    aim = f"ONNX Runtime at batch {target.batch}, {whose}: aimed at {target.least:g} times;"
    return f"{aim} {', '.join(told)}." if told else ""


def _against(speed: Speed, rival: str) -> str:
    return times(speed.against[rival]) if rival in speed.against else ""


def _mean(found: Sequence[Speed], contestant: str, batch: int, rival: str) -> str:
    value = geometric_mean(found, contestant, batch, rival)
    return "" if math.isnan(value) else f"{value:.2f}"
