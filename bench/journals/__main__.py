"""``python -m bench.journals``: how long the analysis of a long journal takes, and in how much memory."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.journals.making import write_journal
from bench.journals.watching import Cost, watch

ROWS = (10_000, 20_000, 50_000, 100_000)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 where an analysis failed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.journals",
        description="Make up journals of so many rows, have `python -m analysis.front` analyse each, and print its "
        "time and most memory.",
    )
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS, help=f"default: {' '.join(map(str, ROWS))}")
    parser.add_argument("options", nargs="*", help="options for analysis.front, behind `--`")
    options = parser.parse_args(arguments)
    sys.stdout.write(
        "| rows | journal MB | wall s | CPU s | memory MiB | largest process MiB |\n|---|---|---|---|---|---|\n"
    )
    failed = False
    for rows in options.rows:
        with tempfile.TemporaryDirectory(prefix="splitbed-journal-") as folder:
            campaign = write_journal(Path(folder) / "made-up", rows)
            size = (campaign / "journal.jsonl").stat().st_size
            command = [sys.executable, "-m", "analysis.front", str(campaign), *options.options]
            cost = watch(command, Path(folder) / "said")
            sys.stdout.write(_line(rows, size, cost))
            sys.stdout.flush()
            if cost.status != 0:
                failed = True
                sys.stderr.write((Path(folder) / "said").read_text(errors="replace")[-2000:])
    return int(failed)


def _line(rows: int, size: int, cost: Cost) -> str:
    figures = [f"{size / 1e6:.0f}", f"{cost.wall_s:.1f}", f"{cost.cpu_s:.1f}", f"{cost.memory_mb:.0f}"]
    return f"| {rows:,} | {' | '.join([*figures, f'{cost.largest_mb:.0f}'])} |\n"


if __name__ == "__main__":
    sys.exit(main())
