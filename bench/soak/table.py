"""What a soak came to, as figures and as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.soak.growth import COUNT, MEMORY, TIME, Growth, find_growth
from bench.soak.watching import Sample
from stage_runtime.formats.row import Row


def find_all(samples: Sequence[Sample], rows: Sequence[Row]) -> list[Growth]:
    """Return the growth of everything that was sampled, and of the cells' own time."""
    found = []
    for who in dict.fromkeys(sample.who for sample in samples):
        own = [sample for sample in samples if sample.who == who]
        found.append(find_growth(who, "memory MiB", [sample.rss_mb for sample in own], MEMORY))
        found.append(find_growth(who, "descriptors", [sample.descriptors for sample in own], COUNT))
        found.append(find_growth(who, "threads", [sample.threads for sample in own], COUNT))
    # cells are shuffled anew in each round, so that quarters of a run hold the same cells
    found.append(find_growth("cells", "s per cell", [row.elapsed_s for row in rows], TIME))
    return found


def write(found: Iterable[Growth]) -> str:
    """Write the table as Markdown."""
    lines = [
        "| of | figure | first quarter | last quarter | most | may grow by | grew |",
        "|---|---|---|---|---|---|---|",
    ]
    for item in found:
        limit = max(item.limit.share * item.first, item.limit.amount)
        grew = "YES" if item.grew else "no"
        figures = " | ".join(f"{value:.4g}" for value in (item.first, item.last, item.most))
        lines.append(f"| {item.who} | {item.figure} | {figures} | {limit:.2g} | {grew} |")
    return "\n".join(lines)
