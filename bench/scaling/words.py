"""What a series shows, in sentences; every number comes from its points."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.intervals import Interval
from analysis.numbers import number, percent
from bench.document import markdown_table
from bench.scaling.compute import Spot
from bench.scaling.series import Series

# from where on more in flight gives no more than noise
_NEAR_MOST = 0.98


def paragraph(series: Series, model: str, spots: Sequence[Spot]) -> str:
    """Say what a series shows, line by line; an empty series says that nothing was measured."""
    if not spots:
        return f"{series.title}: nothing was measured."
    splits = list(dict.fromkeys(spot.split for spot in spots))
    cut = f" cut at {splits[0]}" if len(splits) == 1 else ""
    sentences = [f"{model}{cut}, by {series.of}."]
    for line in dict.fromkeys(spot.line for spot in spots):
        own = [spot for spot in spots if spot.line == line]
        told = {"batch": _batch, "window": _window, "stages": _stages}[series.axis](own)
        sentences += [f"{line}: {told[0]}", *told[1:]]
    shared = dict.fromkeys(spot.shared for spot in spots if spot.shared)
    if shared:
        sentences.append(f"The machine has too few cores for all of it ({'; '.join(shared)}), so that stages wait.")
    return " ".join([*sentences, *_efficiencies(spots)])


def _batch(own: Sequence[Spot]) -> list[str]:
    first, last = own[0], own[-1]
    told = []
    if first.throughput is not None and last.throughput is not None:
        most = max((spot for spot in own if spot.throughput is not None), key=_rate)
        told.append(
            f"throughput goes from {number(first.throughput.value)} images/s at batch {first.place} to "
            f"{number(last.throughput.value)} at batch {last.place}; it is most, {_ends(most.throughput)}, at batch "
            f"{most.place}."
        )
    if first.latency is not None and last.latency is not None:
        told.append(
            f"One batch alone takes {number(first.latency.value)} ms at batch {first.place} and "
            f"{number(last.latency.value)} ms at batch {last.place}, which is "
            f"{number(first.latency.value / first.place)} and {number(last.latency.value / last.place)} ms an image."
        )
    return told or ["nothing was measured."]


def _window(own: Sequence[Spot]) -> list[str]:
    rates = [spot for spot in own if spot.throughput is not None]
    if not rates:
        return ["nothing was measured."]
    first, last = rates[0], rates[-1]
    most = max(rates, key=_rate)
    enough = next(spot for spot in rates if _rate(spot) >= _NEAR_MOST * _rate(most))
    gain = (
        f"window {first.place} gives {_ends(first.throughput)} images/s, window {last.place} {_ends(last.throughput)}; "
        f"from window {enough.place} on there is no more than {percent(1 - _NEAR_MOST)} to gain, "
        f"{_rate(enough) / _rate(first):.2f} times what window {first.place} gives."
    )
    told = [gain]
    if first.latency is not None and last.latency is not None:
        told.append(
            f"A batch's latency is {number(first.latency.value)} ms with {first.place} in flight and "
            f"{number(last.latency.value)} ms with {last.place}, queueing included."
        )
    return told


def _stages(own: Sequence[Spot]) -> list[str]:
    rates = [spot for spot in own if spot.throughput is not None]
    if not rates:
        return ["nothing was measured."]
    listed = ", ".join(f"{spot.place} ({spot.split}) {_ends(spot.throughput)}" for spot in rates)
    told = [f"images/s by stages: {listed}."]
    if rates[0].place == 1 and len(rates) > 1:
        factors = ", ".join(f"{spot.place} stages {_rate(spot) / _rate(rates[0]):.2f}" for spot in rates[1:])
        told.append(f"Against one stage: {factors} times the throughput.")
    times = [spot for spot in own if spot.latency is not None]
    if times:
        listed = ", ".join(f"{spot.place}: {_ends(spot.latency)}" for spot in times)
        told.append(f"One batch alone takes, in ms, {listed}.")
    return told


def _efficiencies(spots: Sequence[Spot]) -> list[str]:
    found = []
    for what, values in (
        ("latency", [spot.latency_efficiency for spot in spots]),
        ("throughput", [spot.throughput_efficiency for spot in spots]),
    ):
        known = sorted(value for value in values if value is not None)
        if known:
            found.append(f"{what} {percent(known[0])} to {percent(known[-1])}")
    return [f"Of its bound each point reaches: {'; '.join(found)}."] if found else []


def _rate(spot: Spot) -> float:
    return spot.throughput.value if spot.throughput is not None else 0.0


def _ends(figure: Interval | None) -> str:
    if figure is None:
        return number(float("nan"))
    ends = "" if figure.basis == "none" else f" [{number(figure.low)}, {number(figure.high)}]"
    return f"{number(figure.value)}{ends}"


def table(series: Series, spots: Sequence[Spot]) -> str:
    """Write a series' points as a Markdown table."""
    heads = [series.of, "line", "split", "images/s", "of its bound", "latency ms", "of its bound"]
    lines = [
        [
            str(spot.place),
            spot.line,
            spot.split,
            _ends(spot.throughput),
            _share(spot.throughput_efficiency),
            _ends(spot.latency),
            _share(spot.latency_efficiency),
        ]
        for spot in spots
    ]
    return markdown_table(heads, lines)


def _share(efficiency: float | None) -> str:
    return percent(float("nan") if efficiency is None else efficiency)
