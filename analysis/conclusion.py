"""The answer a user wants, condition by condition: which split, and is splitting worth it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

from analysis.fronts import Comparison, Front, best
from analysis.summary import Point

TIMES = "\N{MULTIPLICATION SIGN}"


Worth = Literal["both", "latency", "throughput", "unclear", "no"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Conclusion:
    """One condition's answer; ``worth`` says in what splitting beats the unsplit model, if at all."""

    front: Front
    least_latency: Point
    most_throughput: Point
    knee: Point | None
    latency_gain: Comparison | None
    throughput_gain: Comparison | None
    worth: Worth | None
    sentence: str


def conclude(front: Front) -> Conclusion:
    """Draw the conclusion from one front."""
    gains = [gain for gain in (front.latency_gain, front.throughput_gain) if gain is not None]
    worth = _worth(gains)
    return Conclusion(
        front=front,
        least_latency=best("latency", front.points),
        most_throughput=best("throughput", front.points),
        knee=front.knee,
        latency_gain=front.latency_gain,
        throughput_gain=front.throughput_gain,
        worth=worth,
        sentence=_sentence(worth, gains),
    )


def _worth(gains: Sequence[Comparison]) -> Worth | None:
    if not gains:
        return None
    won = [gain.objective for gain in gains if gain.verdict == "yes"]
    if won:
        return "both" if len(won) > 1 else won[0]
    return "unclear" if any(gain.verdict == "unclear" for gain in gains) else "no"


def _sentence(worth: Worth | None, gains: Sequence[Comparison]) -> str:
    if worth is None:
        return "Nothing to compare: the campaign lacks the unsplit model or any split here."
    opening = {
        "both": "Splitting beats the unsplit model in both: ",
        "latency": "Splitting beats the unsplit model in latency only: ",
        "throughput": "Splitting beats the unsplit model in throughput only: ",
        "unclear": "No clear gain from splitting: ",
        "no": "Splitting does not pay here: ",
    }[worth]
    return opening + "; ".join(_clause(gain) for gain in gains) + "."


def _clause(gain: Comparison) -> str:
    """Say what the best split costs or gains in one objective."""
    what = "latency" if gain.objective == "latency" else "throughput"
    against = f"{gain.split.split} against {gain.reference.split}"
    if gain.verdict == "unclear":
        why = "intervals overlap" if gain.repeated else "one run each, within drift"
        return f"{what} about equal ({gain.factor:.2f}{TIMES}, {against}; {why})"
    better = gain.verdict == "yes"
    factor = gain.factor if better else 1 / gain.factor
    word = {
        ("latency", True): "lower", ("latency", False): "higher",
        ("throughput", True): "higher", ("throughput", False): "lower",
    }[gain.objective, better]  # fmt: skip
    return f"{what} {factor:.2f}{TIMES} {word} ({against})"
