"""The comparison as Markdown.  Everything it says is worked out from the results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from bench.netem.compare import LEAST_P, MOST_DELAY_MS, MOST_RATE_SHARE, Compared, compare
from bench.netem.results import FRAME_BYTES, Results
from links.conditions import SPEC_KEYS, LinkSpec, parse_condition

_HEAD = """\
| condition | direction | figure | asked | netem | emulator | apart | agree |
|---|---|---|---|---|---|---|---|
"""


class Line(NamedTuple):
    """One figure of one direction under one condition."""

    network: str
    direction: str
    figure: Compared


def lines(results: Results) -> list[Line]:
    """Compare everything that was measured."""
    return list(_lines(results))


def _lines(results: Results) -> Iterator[Line]:
    for network, condition in results.asked.items():
        specs = parse_condition(network, condition).directed(("a", "b"))
        for one, other in zip(results.netem.conditions[network], results.emulator.conditions[network], strict=True):
            spec = specs[one.source, one.target]
            for figure in compare(spec, one, other):
                yield Line(network, f"{one.source} → {one.target}", figure)


def markdown(results: Results) -> str:
    """Give the document's section: what was compared, every figure, and how many of them agree."""
    found = lines(results)
    agreed = sum(line.figure.agree for line in found)
    rounds = {len(measured.rates_mbit) for both in results.netem.conditions.values() for measured in both}
    begin = f"""\
Written by `python -m bench.netem --document docs/netem.md`, {results.started}.

The same conditions, put in force by the role `link_shape` over SSH and measured by the same commands, on two pairs of
hosts: **netem** under htb of Linux {results.netem.kernel} (a Debian guest under software emulation, two namespaces, a
veth pair), and the user-space **emulator** on Linux {results.emulator.kernel} (two virtual devices).

- rate: the probe's bulk transfer, headers counted; the median of {max(rounds)} rounds; apart by at most
  {MOST_RATE_SHARE:.0%}.
- delay: single datagrams of {FRAME_BYTES} bytes on the wire, each on an idle link, from the sender's clock reading to
  the receiving kernel's; the median; apart by at most {MOST_DELAY_MS:g} ms. Asked is the delay and the time that those
  bytes take at the rate.
- 64 KiB message: the probe's, the median of its rounds; apart by at most {MOST_DELAY_MS:g} ms or {MOST_RATE_SHARE:.0%},
  and the jitter's width, since the packet that it is counted from may lie anywhere within it.
- jitter: the same datagrams' delays. sd is their standard deviation (a uniform ±j has j/√3), D the two-sample
  Kolmogorov-Smirnov statistic of both sides, each about its median; "from uniform" is the distance from the law that
  was asked for.
- loss: such datagrams at half the link's rate; Fisher's exact test of both counts, and each count against the share
  asked for by the exact binomial test. Where none is asked for, nothing may be dropped in any of the measurements.
- A test of chance fails below p = {LEAST_P:g}.

**{agreed} of {len(found)} figures agree.**

"""
    conditions = "".join(f"- `{name}`: {_describe(name, asked)}\n" for name, asked in results.asked.items())
    return begin + conditions + "\n" + _HEAD + "".join(_row(line) for line in found)


def _row(line: Line) -> str:
    figure = line.figure
    cells = (line.network, line.direction, *figure[:-1], "yes" if figure.agree else "**no**")
    return f"| {' | '.join(cells)} |\n"


def _describe(name: str, condition: Mapping[str, Any]) -> str:
    specs = parse_condition(name, condition).directed(("a", "b"))
    there, back = specs["a", "b"], specs["b", "a"]
    return _words(there) if there == back else f"{_words(there)} forward, {_words(back)} backward"


def _words(spec: LinkSpec) -> str:
    units = dict(zip(SPEC_KEYS, ("Mbit/s", "ms", "ms jitter", "% loss"), strict=True))
    return ", ".join(f"{value:g} {units[key]}" for key, value in spec.as_dict().items() if value)
