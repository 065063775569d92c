"""The results as tables and sentences.  What is drawn and written is worked out here, from the rounds."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from analysis.intervals import Interval, interval
from analysis.numbers import number
from bench.payloads.plan import FAR
from bench.payloads.results import Echo, IdleTime, OnLink, Payloads, Round
from bench.testbed import NETWORKS
from stage_runtime.formats.cell import TransportName

# From this payload on a transport is to reach a share of what iperf3 does, and a short round trip at most so many
# times what bare sockets take.
LARGE_BYTES, LEAST_SHARE, MOST_TIMES = 256 * 1024, 0.95, 1.5
_TRANSPORTS: tuple[TransportName, ...] = ("tcp", "rpc")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """One payload over one transport: its rate, and its share of iperf3's in the same round (None: not run)."""

    transport: TransportName
    payload_bytes: int
    mbit: Interval
    share: Interval | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ping:
    """A short round trip, and how many times the bare one's in the same round."""

    over: Echo
    ms: Interval
    times: Interval


def lines(link: OnLink) -> list[Line]:
    """Give a line per payload and transport, in their order."""
    found = []
    for transport in _TRANSPORTS:
        for size in sorted({one.payload_bytes for taken in link.rounds for one in taken.goodputs}):
            rates, shares = [], []
            for taken in link.rounds:
                mine = [one.mbit for one in taken.goodputs if (one.transport, one.payload_bytes) == (transport, size)]
                rates += mine
                if taken.iperf_mbit:
                    shares += [rate / statistics.mean(taken.iperf_mbit) for rate in mine]
            if rates:
                share = over_rounds(shares) if shares else None
                found.append(Line(transport=transport, payload_bytes=size, mbit=over_rounds(rates), share=share))
    return found


def pings(link: OnLink) -> list[Ping]:
    """Give the bare round trip and each transport's."""
    kinds = dict.fromkeys(one.over for taken in link.rounds for one in taken.round_trips)
    return [
        Ping(
            over=kind,
            ms=over_rounds([_trip(taken, kind) for taken in link.rounds]),
            times=over_rounds([_trip(taken, kind) / _trip(taken, "bare") for taken in link.rounds]),
        )
        for kind in kinds
    ]


def over_rounds(values: Sequence[float]) -> Interval:
    """Give the median over the rounds with its 95 % interval: a round is a repeat."""
    return interval([[value] for value in values])


def iperf(link: OnLink) -> Interval | None:
    """Give iperf3's rate over the rounds; None where it was not run."""
    means = [statistics.mean(taken.iperf_mbit) for taken in link.rounds if taken.iperf_mbit]
    return over_rounds(means) if means else None


def least_share(link: OnLink) -> Line | None:
    """Give TCP's large payload with the least share of iperf3's rate; None where there is none."""
    large = [line for line in lines(link) if line.transport == "tcp" and line.payload_bytes >= LARGE_BYTES]
    return min((line for line in large if line.share is not None), key=_share, default=None)


def _share(line: Line) -> float:
    return line.share.value if line.share is not None else 0.0


def _trip(taken: Round, kind: Echo) -> float:
    return next(one.ms for one in taken.round_trips if one.over == kind)


def size_text(count: int) -> str:
    """Write a payload's size: 4 KB, 64 MB (of 1024)."""
    return f"{count // 2**20} MB" if count >= 2**20 else f"{count // 1024} KB"


def markdown(results: Payloads, picture: str = "payloads.svg") -> str:
    """Write everything for a reader; ``picture`` is where the figure lies."""
    parts = ["## Payloads", f"By `python -m bench.payloads`. {overview(results)}", f"![Goodput by payload]({picture})"]
    parts += [_link_text(link) for link in results.links]
    if results.idle:
        parts.append(_idle_text(results.idle))
    return "\n\n".join(parts) + "\n"


def overview(results: Payloads) -> str:
    """Say in a few sentences what came out over all links."""
    tcp = results.device.get("tcp", {})
    slow = "on" if tcp.get("slow_start_after_idle") == "1" else "off"
    control = tcp.get("congestion_control", "unknown")
    said = [f"Two devices with a core each, congestion control {control}, slow start after idle times {slow}."]
    found = [(link, least_share(link)) for link in results.links]
    shares = [(least.share.value, link, least) for link, least in found if least is not None and least.share]
    if shares:
        value, link, least = min(shares, key=lambda found: found[0])
        said.append(
            f"From {size_text(LARGE_BYTES)} on, TCP's least share of iperf3's rate is {number(value)} "
            f"({size_text(least.payload_bytes)} under `{link.network}`)."
        )
    trips = [(one.times.value, link) for link in results.links for one in pings(link) if one.over == "tcp"]
    if trips:
        value, link = max(trips, key=lambda found: found[0])
        said.append(
            f"A round trip of 4 KB takes at most {number(value)} times what bare blocking sockets take "
            f"(under `{link.network}`)."
        )
    return " ".join(said)


def _link_text(link: OnLink) -> str:
    yardstick = iperf(link)
    said = f"iperf3: {_with_interval(yardstick)} Mbit/s." if yardstick is not None else "Without iperf3."
    head = [
        f"### {link.network}: {_condition(link.condition)}",
        f"{len(link.rounds)} rounds, everything interleaved in each; sockets hold {link.room_bytes:,} bytes. {said}",
    ]
    rows = [_goodput_row(size, by_transport) for size, by_transport in _by_size(link)]
    goodput = _table(("payload", "TCP Mbit/s", "÷ iperf3", "RPC Mbit/s", "÷ iperf3"), rows)
    trips = _table(
        ("4 KB there and back", "ms", "÷ bare"),
        [(one.over, _with_interval(one.ms), _with_interval(one.times)) for one in pings(link)],
    )
    return "\n\n".join([*head, goodput, trips, *_sentences(link)])


def _condition(condition: Mapping[str, Any]) -> str:
    words = {"rate_mbit": "Mbit/s", "delay_ms": "ms each way", "jitter_ms": "ms jitter", "loss_percent": "% loss"}
    return ", ".join(f"{condition[key]:g} {unit}" for key, unit in words.items() if condition.get(key))


def _by_size(link: OnLink) -> Iterable[tuple[int, dict[str, Line]]]:
    found: dict[int, dict[str, Line]] = {}
    for line in lines(link):
        found.setdefault(line.payload_bytes, {})[line.transport] = line
    return found.items()


def _goodput_row(size: int, found: dict[str, Line]) -> tuple[str, ...]:
    cells: list[str] = [size_text(size)]
    for transport in _TRANSPORTS:
        line = found.get(transport)
        cells.append("" if line is None else number(line.mbit.value))
        cells.append("" if line is None or line.share is None else _with_interval(line.share))
    return tuple(cells)


def _sentences(link: OnLink) -> list[str]:
    said = []
    least = least_share(link)
    if least is not None and least.share is not None:
        said.append(
            f"Of the payloads from {size_text(LARGE_BYTES)} on, {size_text(least.payload_bytes)} came nearest to "
            f"falling behind: TCP reached {_with_interval(least.share)} of iperf3's rate "
            f"({_verdict(least.share, lambda value: value >= LEAST_SHARE)} the target of {LEAST_SHARE:g})."
        )
    said.extend(
        f"4 KB there and back took {_with_interval(one.times)} times as long as over bare sockets "
        f"({_verdict(one.times, lambda value: value <= MOST_TIMES)} the target of {MOST_TIMES:g})."
        for one in pings(link)
        if one.over == "tcp"
    )
    if link.left_out:
        sizes = ", ".join(map(size_text, link.left_out))
        said.append(f"Left out, since one frame takes too long on this link: {sizes}.")
    return said


def _verdict(found: Interval, reaches: Callable[[float], bool]) -> str:
    """Say whether a figure reaches its target: with its whole interval, in the median alone, or not."""
    if not reaches(found.value):
        return "misses"
    certain = found.basis != "none" and reaches(found.low) and reaches(found.high)
    return "reaches, with its whole interval," if certain else "reaches in the median"


def _idle_text(times: Sequence[IdleTime]) -> str:
    first = times[0]
    rows = []
    for congestion in dict.fromkeys(one.congestion for one in times):
        with_it, without = (
            over_rounds([one.ms for one in times if one.congestion == congestion and one.slow_start is slow])
            for slow in (True, False)
        )
        cost = with_it.value - without.value
        rows.append((congestion, _with_interval(with_it), _with_interval(without), f"{cost:+.0f}"))
    measured = (
        f"{first.message_bytes:,} bytes and a byte back after {first.idle_s:g} s without traffic, in ms, over bare "
        f"sockets at {_condition(NETWORKS[FAR])}; virtual devices have it off."
    )
    table = _table(("congestion control", "on", "off", "costs"), rows)
    return f"### Slow start after idle times\n\n{measured}\n\n{table}"


def _with_interval(found: Interval) -> str:
    if found.basis == "none":
        return number(found.value)
    return f"{number(found.value)} [{number(found.low)}, {number(found.high)}]"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines_ = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines_)
