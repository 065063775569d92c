"""The contest's table of ratios, for the terminal, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

from rich import box
from rich.table import Table

from analysis.intervals import Interval
from analysis.numbers import DASH, number
from bench.contest.compare import EVERY_MODEL, Best, Contrast
from bench.contest.targets import Judged
from bench.document import markdown_table

COLUMNS = (
    "comparison", "network", "figure", "model", "ratio", "low", "high", "repeats",
    "split", "value", "other_split", "other_value",
)  # fmt: skip
NOTE = (
    "Ratios with 95 % intervals over repeats, each side at its best split (in brackets); above 1 the first side is "
    "better. Throughput with batches in flight, response with one. Against a bound: the share of it that was reached, "
    "of the latency in place of the response."
)
_UNITS = {"throughput": "images/s", "response": "ms"}


def models_of(found: Sequence[Contrast]) -> list[str]:
    """Give the columns: each model, and all of them last."""
    names = list(dict.fromkeys(contrast.model for contrast in found))
    return [*(name for name in names if name != EVERY_MODEL), *([EVERY_MODEL] if EVERY_MODEL in names else [])]


def lines_of(found: Sequence[Contrast]) -> list[list[str]]:
    """Give the table's lines: comparison, network, figure, then a ratio for each of :func:`models_of`."""
    cells: dict[tuple[str, str, str], dict[str, str]] = {}
    for contrast in found:
        key = (contrast.pairing.title, contrast.network, contrast.figure)
        cells.setdefault(key, {})[contrast.model] = ratio_text(contrast)
    return [[*key, *(by_model.get(model, "") for model in models_of(found))] for key, by_model in cells.items()]


def ratio_text(contrast: Contrast) -> str:
    """Write a ratio with its interval, and the splits behind it."""
    splits = [best.split for best in (contrast.mine, contrast.theirs) if best is not None]
    behind = f" ({' / '.join(splits)})" if splits else ""
    return f"{times(contrast.ratio)}{behind}"


def times(ratio: Interval) -> str:
    """Write ``1.92 [1.85, 2.00]``."""
    ends = "" if math.isnan(ratio.low) else f" [{ratio.low:.2f}, {ratio.high:.2f}]"
    return f"{ratio.value:.2f}{ends}"


def judged_text(judged: Judged) -> str:
    """Write a target and what came of it in one line."""
    worst = judged.worst
    if worst is None:
        return f"{judged.target.text}: not measured"
    where = worst.model if worst.model == EVERY_MODEL else f"{worst.model} under {worst.network}"
    return f"{judged.target.text}: {judged.verdict}, {times(worst.ratio)} ({where})"


def terminal_table(found: Sequence[Contrast]) -> Table:
    """Make the table for the terminal."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("comparison", "network", "figure"):
        table.add_column(heading)
    for model in models_of(found):
        table.add_column(model, justify="right")
    for line in lines_of(found):
        table.add_row(*line)
    return table


def markdown(found: Sequence[Contrast], judged: Sequence[Judged]) -> str:
    """Write the table, the figures behind it, and what came of the targets."""
    heads = ["comparison", "network", "figure", *models_of(found)]
    parts = [NOTE, markdown_table(heads, lines_of(found)), *(f"- {judged_text(one)}" for one in judged)]
    head, table, *verdicts = parts
    return "\n\n".join([head, table, "\n".join(verdicts), "The figures behind the ratios:", _figures(found)]) + "\n"


def _figures(found: Sequence[Contrast]) -> str:
    """Write what each side reached at its best split."""
    best: dict[tuple[str, str, str, str], Best] = {}
    for contrast in found:
        for side, own in ((contrast.pairing.first, contrast.mine), (contrast.pairing.second, contrast.theirs)):
            if own is not None and not contrast.pairing.one_split:
                best[side, contrast.network, contrast.figure, contrast.model] = own
    models = [model for model in models_of(found) if model != EVERY_MODEL]
    keys = dict.fromkeys((side, network, figure) for side, network, figure, _ in best)
    lines = [
        [side, network, f"{figure}, {_UNITS[figure]}", *(_best(best.get((side, network, figure, m))) for m in models)]
        for side, network, figure in keys
    ]
    return markdown_table(["side", "network", "figure", *models], lines)


def _best(best: Best | None) -> str:
    return DASH if best is None else f"{number(best.value)} ({best.split})"


def as_csv(found: Sequence[Contrast]) -> str:
    """Write one line per ratio, with the columns :data:`COLUMNS`; what is not known is empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for contrast in found:
        ratio = contrast.ratio
        sides = [part for best in (contrast.mine, contrast.theirs) for part in (best or ("", ""))]
        ends = ["" if math.isnan(end) else end for end in (ratio.low, ratio.high)]
        head = [contrast.pairing.title, contrast.network, contrast.figure, contrast.model]
        writer.writerow([*head, ratio.value, *ends, len(contrast.by_repeat), *sides])
    return buffer.getvalue()
