"""The findings as sentences with their figures."""

from __future__ import annotations

import math
from collections.abc import Sequence

from analysis.bounds_tables import Overview
from analysis.conclusion import TIMES, Conclusion, Worth
from analysis.fronts import Objective
from analysis.halves import Halves
from analysis.intervals import Interval
from analysis.moves import Moves
from analysis.numbers import number
from analysis.recommend import Robust
from analysis.summary import Estimate, Point
from analysis.transport_summary import Summary
from analysis.transports import BASE, OTHER

_WORTHS: dict[Worth | None, str] = {
    "both": "better in latency and in throughput",
    "latency": "better in latency only",
    "throughput": "better in throughput only",
    "unclear": "no clear gain",
    "no": "does not pay",
    None: "nothing to compare",
}
_UNITS = {"latency": "ms", "throughput": "img/s"}


def recommend_words(conclusions: Sequence[Conclusion], robust: Sequence[Robust]) -> list[str]:
    """Say whether to split, which split to take for each goal network by network, and which one for all of them."""
    lines = [
        _worth(conclusions),
        f"Least latency: {_by_split([(item, item.least_latency) for item in conclusions], 'latency')}.",
        f"Most throughput: {_by_split([(item, item.most_throughput) for item in conclusions], 'throughput')}.",
    ]
    knees = [(item, item.knee) for item in conclusions if item.knee is not None]
    bare = [item.front.condition.network for item in conclusions if item.knee is None]
    if knees:
        none = f"; none under {_join(bare)}" if bare else ""
        lines.append(f"Knee between the two: {_by_split(knees, None)}{none}.")
    return [*lines, *robust_words(robust, len(conclusions))]


def _worth(conclusions: Sequence[Conclusion]) -> str:
    """Say under which networks splitting beats the unsplit model, and in what."""
    networks: dict[Worth | None, list[str]] = {}
    for item in conclusions:
        networks.setdefault(item.worth, []).append(item.front.condition.network)
    parts = [f"{_WORTHS[worth]} under {_join(names)}" for worth, names in networks.items()]
    return f"Splitting against the unsplit model: {'; '.join(parts)}."


def robust_words(robust: Sequence[Robust], networks: int) -> list[str]:
    """Name the split of least maximal regret for each goal."""
    if not robust:
        return []
    parts = [f"{_goal(item)} {item.split}, at worst {_regret(item)}{_surely(item)}" for item in robust]
    return [f"Robust over all {networks} networks: {'; '.join(parts)}."]


def _goal(item: Robust) -> str:
    return "in both" if item.goal == "both" else f"in {item.goal}"


def _regret(item: Robust) -> str:
    latency = f"{item.latency_regret:.2f}{TIMES} the least latency ({item.latency_network})"
    throughput = f"{1 / item.throughput_regret:.0%} of the most throughput ({item.throughput_network})"
    return {"latency": latency, "throughput": throughput, "both": f"{latency} and {throughput}"}[item.goal]


def _surely(item: Robust) -> str:
    return "" if math.isnan(item.probability) else f", the best choice with probability {item.probability:.0%}"


def _by_split(chosen: Sequence[tuple[Conclusion, Point]], objective: Objective | None) -> str:
    """Write ``P3 (44 ms under lan); P8 (…)``: each split once, with the networks under which it is chosen."""
    groups: dict[str, list[str]] = {}
    for item, point in chosen:
        figures = [_figure(point.latency, "latency")] if objective != "throughput" else []
        figures += [_figure(point.throughput, "throughput")] if objective != "latency" else []
        groups.setdefault(point.split, []).append(f"{', '.join(figures)} under {item.front.condition.network}")
    return "; ".join(f"{split} ({'; '.join(places)})" for split, places in groups.items())


def _figure(estimate: Estimate, objective: Objective) -> str:
    return f"{number(estimate.value)} {_UNITS[objective]}"


def moves_words(moves: Moves) -> str:
    """Say how the front changes from the best network to the worst."""
    first, last = moves.steps[0], moves.steps[-1]
    before = [point.split for point in first.front.front_points]
    after = [point.split for point in last.front.front_points]
    came = [split for split in after if split not in before]
    left = [split for split in before if split not in after]
    parts = [f"{_join(moves.always)} on the front throughout" if moves.always else "no split on the front throughout"]
    parts += [f"{_join(left)} gone at the end"] if left else []
    parts += [f"{_join(came)} new at the end"] if came else []
    names = f"{first.front.condition.network} (the best network) to {last.front.condition.network} (the worst)"
    return (
        f"From {names}: {'; '.join(parts)}. The front goes from {len(before)} to {len(after)} points{_shifts(moves)}, "
        f"its hypervolume from {first.hypervolume_share:.0%} to {last.hypervolume_share:.0%} of the ideal."
    )


def bounds_words(items: Sequence[Overview]) -> list[str]:
    """Say how near the splits came to their bounds, network by network; nothing where no bound is known."""
    if not items:
        return []
    parts = []
    for objective in dict.fromkeys(item.objective for item in items):
        places = [
            f"{item.median:.0%} (least {item.least:.0%}, {item.least_split}) under {item.condition.network}"
            for item in items
            if item.objective == objective
        ]
        parts.append(f"{objective} {'; '.join(places)}")
    return [f"Of what no runtime can beat, median over splits: {'. '.join(parts)}."]


def _shifts(moves: Moves) -> str:
    """Write how the first device's shares change, where they are known."""
    first, last = moves.steps[0], moves.steps[-1]
    if math.isnan(first.first_blocks) or math.isnan(last.first_blocks):
        return ""
    return (
        f", the first device's share of the blocks from {first.first_blocks:.0%} to {last.first_blocks:.0%} and of "
        f"the computing from {first.first_compute:.0%} to {last.first_compute:.0%}"
    )


def halves_words(latency: Halves, throughput: Halves) -> str | None:
    """Say how often one half's interval covers the other's median, or None without enough repeats."""
    parts = [
        f"{what} {found.in_time.share:.0%} (first against last half) and {found.interleaved.share:.0%} (every second "
        f"repeat) of {found.in_time.checks} intervals, {found.in_time.expected_share:.0%} expected"
        for what, found in (("latency", latency), ("throughput", throughput))
        if found.figures
    ]
    if not parts:
        return None
    return f"One half's 95 % interval covers the other half's median: {'; '.join(parts)}."


def transport_words(summaries: Sequence[Summary]) -> list[str]:
    """Say per model what RPC costs or gains against TCP, window by window."""
    lines = []
    for item in summaries:
        if item.scope.chain:
            continue
        parts = []
        if item.latency_ratio is not None:
            parts.append(f"latency {times(item.latency_ratio)}")
        parts.append(f"throughput {times(item.throughput_ratio)}")
        lines.append(
            f"{item.scope.model}, batch {item.scope.batch}, window {item.scope.window}: {OTHER} has "
            f"{' and '.join(parts)} of {BASE}'s ({item.splits} splits and networks)"
        )
    return lines


def times(ratio: Interval | None) -> str:
    """Write a ratio with its interval; nothing for None."""
    if ratio is None:
        return ""
    ends = "" if math.isnan(ratio.low) else f" [{ratio.low:.3f}, {ratio.high:.3f}]"
    return f"{ratio.value:.3f}{TIMES}{ends}"


def _join(names: Sequence[str]) -> str:
    """Write names as in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
