"""Say once what many runs say with different figures."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence

# a figure that stands alone, not the number in a device's name
# (what comes before is looked at behind the first digit: digits are found several times as fast)
_FIGURE = re.compile(r"(\d(?<![\w.:-]\d)\d*(?:\.\d+)?(?![\w.]*\w))")


def count_alike(texts: Iterable[Sequence[str]]) -> list[tuple[str, int]]:
    """Count the runs that say each thing, most first; figures that differ are written as their range."""
    said: dict[tuple[str, ...], list[list[str]]] = {}
    for run in texts:
        # what stands between the figures, and the figures; texts that are alike count once for a run
        own = {tuple(parts[::2]): parts[1::2] for parts in map(_FIGURE.split, run)}
        for form, figures in own.items():
            said.setdefault(form, []).append(figures)
    counted = [(_fill(form, figures), len(figures)) for form, figures in said.items()]
    return sorted(counted, key=lambda item: -item[1])


def _fill(form: Sequence[str], figures: Sequence[Sequence[str]]) -> str:
    ranges = []
    for values in zip(*figures, strict=True):
        low, high = min(values, key=float), max(values, key=float)
        ranges.append(low if low == high else f"{low} to {high}")
    return "".join(itertools.chain.from_iterable(itertools.zip_longest(form, ranges, fillvalue="")))
