"""The answer a user wants, condition by condition: which split, and is splitting worth it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from analysis.fronts import Comparison, Front, Verdict, best
from analysis.summary import Point

TIMES = "\N{MULTIPLICATION SIGN}"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Conclusion:
    """One condition's answer; ``worth`` says whether splitting beats the unsplit model at all."""

    front: Front
    least_latency: Point
    most_throughput: Point
    knee: Point | None
    latency_gain: Comparison | None
    throughput_gain: Comparison | None
    worth: Verdict | None
    sentence: str


def conclude(front: Front) -> Conclusion:
    """Draw the conclusion from one front."""
    gains = [gain for gain in (front.latency_gain, front.throughput_gain) if gain is not None]
    verdicts = {gain.verdict for gain in gains}
    worth: Verdict | None = None
    if gains:
        worth = "yes" if "yes" in verdicts else "unclear" if "unclear" in verdicts else "no"
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


def _sentence(worth: Verdict | None, gains: Sequence[Comparison]) -> str:
    if worth is None:
        return "Nothing to compare: the campaign lacks the unsplit model or any split here."
    return (
        {
            "yes": "Splitting beats the unsplit model: ",
            "no": "Splitting does not pay here: ",
            "unclear": "No clear gain from splitting: ",
        }[worth]
        + "; ".join(_clause(gain) for gain in gains)
        + "."
    )


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
