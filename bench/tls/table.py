"""What was measured, as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from bench.tls.measuring import ECHO_BYTES, HOWS, Found, Rate, Times

_HEAD = """\
| | in the clear | under TLS | ratio |
|---|---:|---:|---:|"""


def markdown(found: Found, command: str) -> str:
    """Write the table and the line above it; each figure is the median over rounds, or over all single times."""
    lines = []
    for size in sorted({rate.payload_bytes for rate in found.rates}):
        mbit = _rates(found, size, lambda rate: rate.mbit)
        lines.append(_line(f"{_size(size)} frames, Mbit/s", mbit, ".0f"))
        cpu = _rates(found, size, lambda rate: rate.cpu_ms_per_mb)
        lines.append(_line(f"{_size(size)} frames, processor ms per MB, both ends", cpu, ".2f"))
    lines.append(_line(f"{_size(ECHO_BYTES)} there and back, ms", _times(found, lambda one: one.echo_ms), ".3f"))
    lines.append(_line("a connection made, ms", _times(found, lambda one: one.connect_ms), ".2f"))
    return f"Written by `{command}`; TLS agreed on {found.protection}.\n\n" + "\n".join([_HEAD, *lines])


def _rates(found: Found, size: int, pick: Callable[[Rate], float]) -> list[list[float]]:
    return [[pick(rate) for rate in found.rates if (rate.how, rate.payload_bytes) == (how, size)] for how in HOWS]


def _times(found: Found, pick: Callable[[Times], Sequence[float]]) -> list[list[float]]:
    return [[ms for one in found.times if one.how == how for ms in pick(one)] for how in HOWS]


def _line(what: str, values: Sequence[Sequence[float]], form: str) -> str:
    clear, tls = map(statistics.median, values)
    return f"| {what} | {clear:{form}} | {tls:{form}} | {tls / clear:.2f} |"


def _size(count: int) -> str:
    return f"{count // 2**20} MiB" if count >= 2**20 else f"{count // 1024} KiB"
