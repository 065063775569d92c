"""What it costs an interval that runs stop once it is narrow, by simulation: ``python -m analysis.stopping``.

A sweep repeats a cell until the half width of its interval is under a target.  Narrow intervals are
favoured by that, so those of cells that stopped early cover the truth less often than they claim; how
much less depends on the least number of runs.  Runs are simulated as for :mod:`analysis.coverage`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from analysis.coverage import DRIFTS, Drift, simulate_runs
from analysis.intervals import Floats, interval, relative_half_width

LEAST = (2, 3, 5)
MOST = 10
TARGET = 0.05
_BATCHES = 16
_TRUTH_RUNS = 100_000


class Stopping(NamedTuple):
    """How one rule did: the share of intervals that held the truth, the mean number of runs, the share at the limit."""

    drift: str
    least: int
    covered: float
    runs: float
    at_limit: float


def runs_until_settled(table: Floats, least: int, target: float = TARGET) -> int:
    """Give after how many runs (rows of `table`) a cell is settled, or their number where it never is."""
    for count in range(least, len(table)):
        if relative_half_width(list(table[:count])) <= target:
            return count
    return len(table)


def simulate(
    trials: int, seed: int, least: Sequence[int] = LEAST, drifts: Mapping[str, Drift] = DRIFTS
) -> Iterator[Stopping]:
    """Yield how every rule does under every kind of drift; the same for the same arguments."""
    rng = np.random.default_rng(seed)
    for name, drift in drifts.items():
        truth = float(np.median(np.median(simulate_runs(drift, rng, (1, _TRUTH_RUNS, _BATCHES)), axis=2)))
        tables = simulate_runs(drift, rng, (trials, MOST, _BATCHES))
        for number in least:
            counts = [runs_until_settled(table, number) for table in tables]
            found = [interval(list(table[:count])) for table, count in zip(tables, counts, strict=True)]
            yield Stopping(
                drift=name,
                least=number,
                covered=float(np.mean([one.low <= truth <= one.high for one in found])),
                runs=float(np.mean(counts)),
                at_limit=float(np.mean([count == MOST for count in counts])),
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line per kind of drift and least number of runs."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis.stopping",
        description="Simulate how often intervals cover the truth where runs stop once they are narrow.",
    )
    parser.add_argument(
        "--trials", type=int, metavar="N", default=2000, help="simulated cells in each setting; default: 2000"
    )
    parser.add_argument("--seed", type=int, metavar="N", default=1, help="seed of the simulation; default: 1")
    options = parser.parse_args(arguments)
    for one in simulate(options.trials, options.seed):
        sys.stdout.write(
            f"{one.drift:16} repeats={one.least}: covers {one.covered:.1%}, {one.runs:.1f} runs, "
            f"{one.at_limit:.0%} at the limit of {MOST}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
