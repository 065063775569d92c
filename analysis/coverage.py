"""How often 95 % intervals cover the truth, by simulation: ``python -m analysis.coverage``.

Runs are simulated as they were seen here: a run's speed drifts as a whole, its batches scatter upwards.
The truth is the median of the run medians, taken from very many runs.  Tried on the same runs are the interval
in use, the percentile bootstrap of the median in two steps (runs, then batches), and the bootstrap-t and BCa
of the mean logarithm of the run medians (Davison and Hinkley 1997, sections 3.8, 5.2 and 5.3).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from analysis.intervals import CONFIDENCE, Floats, interval

REPEATS = (2, 3, 4, 5, 7, 10)
BATCHES = (3, 8, 16)
_TRUTH_RUNS = 100_000
_TAILS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
# of the scatter of batches, upwards only; drift of 1 % is a quiet machine, 5 % a usual one
_SCATTER = 0.05

Method = Callable[[Floats, np.random.Generator, int], tuple[float, float]]
Drift = Callable[[np.random.Generator, int], Floats]


def _rare(rng: np.random.Generator, count: int) -> Floats:
    """Every seventh run or so is a fifth slower."""
    return np.asarray(rng.normal(0, 0.02, count) + 0.2 * (rng.random(count) < 0.15))  # noqa: PLR2004 - as said above


DRIFTS: dict[str, Drift] = {
    "normal, 1 %": lambda rng, count: rng.normal(0, 0.01, count),
    "normal, 5 %": lambda rng, count: rng.normal(0, 0.05, count),
    "skewed, 5 %": lambda rng, count: rng.exponential(0.05, count),
    "rare slow runs": _rare,
}


class Coverage(NamedTuple):
    """How one method did in one setting: the share of intervals that held the truth, and their usual width."""

    method: str
    drift: str
    batches: int
    repeats: int
    covered: float
    half_width: float


def simulate_runs(drift: Drift, rng: np.random.Generator, shape: tuple[int, int, int]) -> Floats:
    """Return times of ``shape`` (trials, runs, batches) with median about 1."""
    trials, runs, _ = shape
    offset = drift(rng, trials * runs).reshape(trials, runs, 1)
    return np.asarray(np.exp(offset + rng.exponential(_SCATTER, shape)))


def in_use(table: Floats, _rng: np.random.Generator, _resamples: int) -> tuple[float, float]:
    """Give the interval that the analysis uses."""
    found = interval(list(table))
    return found.low, found.high


def percentile(table: Floats, rng: np.random.Generator, resamples: int) -> tuple[float, float]:
    """Give the percentile bootstrap of the median, runs drawn first and batches within them."""
    runs, batches = table.shape
    drawn = rng.integers(runs, size=(resamples, runs, 1)), rng.integers(batches, size=(resamples, runs, batches))
    low, high = np.quantile(np.median(np.median(table[drawn], axis=2), axis=1), _TAILS)
    return float(low), float(high)


def bootstrap_t(table: Floats, rng: np.random.Generator, resamples: int) -> tuple[float, float]:
    """Give the bootstrap-t of the mean logarithm; resamples of one run over and over have no t and are left out."""
    logs = np.log(np.median(table, axis=1))
    drawn = logs[rng.integers(len(logs), size=(resamples, len(logs)))]
    spread = drawn.std(axis=1, ddof=1)
    usable = spread > 1e-9  # noqa: PLR2004 - what rounding leaves of none
    deviates = (drawn.mean(axis=1) - logs.mean())[usable] / spread[usable]
    low, high = np.quantile(deviates, _TAILS)
    return tuple(np.exp(np.clip(logs.mean() - logs.std(ddof=1) * np.array([high, low]), -9, 9)))


def bca(table: Floats, rng: np.random.Generator, resamples: int) -> tuple[float, float]:
    """Give the BCa bootstrap of the mean logarithm."""
    logs = np.log(np.median(table, axis=1))
    means = logs[rng.integers(len(logs), size=(resamples, len(logs)))].mean(axis=1)
    below = (means < logs.mean()).mean() + (means == logs.mean()).mean() / 2
    bias = ndtri(np.clip(below, 1 / resamples, 1 - 1 / resamples))
    spread = logs - logs.mean()
    acceleration = -(spread**3).sum() / (6 * (spread**2).sum() ** 1.5)
    shifted = bias + ndtri(np.array(_TAILS))
    low, high = np.exp(np.quantile(means, ndtr(bias + shifted / (1 - acceleration * shifted))))
    return float(low), float(high)


METHODS: dict[str, Method] = {
    "t of logarithms": in_use,
    "percentile": percentile,
    "bootstrap-t": bootstrap_t,
    "BCa": bca,
}


def simulate(trials: int, resamples: int, seed: int, repeats: Sequence[int] = REPEATS) -> Iterator[Coverage]:
    """Yield the coverage of every method in every setting; the same for the same arguments."""
    rng = np.random.default_rng(seed)
    for name, drift in DRIFTS.items():
        for batches in BATCHES:
            many = simulate_runs(drift, rng, (1, _TRUTH_RUNS, batches))
            truth = float(np.median(np.median(many, axis=2)))
            for count in repeats:
                tables = simulate_runs(drift, rng, (trials, count, batches))
                for method, give in METHODS.items():
                    ends = np.array([give(table, rng, resamples) for table in tables])
                    inside = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
                    width = float(np.median(ends[:, 1] - ends[:, 0])) / 2 / truth
                    yield Coverage(method, name, batches, count, float(inside.mean()), width)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line per method and number of repeats: coverage over all settings, least and most, and width."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis.coverage",
        description="Simulate how often 95 % intervals cover the truth: the one in use, and three bootstraps.",
    )
    parser.add_argument(
        "--trials", type=int, metavar="N", default=1000, help="simulated points in each setting; default: 1000"
    )
    parser.add_argument(
        "--resamples", type=int, metavar="N", default=500, help="resamples of each bootstrap; default: 500"
    )
    parser.add_argument("--seed", type=int, metavar="N", default=1, help="seed of the simulation; default: 1")
    options = parser.parse_args(arguments)
    found = list(simulate(options.trials, options.resamples, options.seed))
    for method in METHODS:
        for count in REPEATS:
            own = [item for item in found if (item.method, item.repeats) == (method, count)]
            shares = [item.covered for item in own]
            sys.stdout.write(
                f"{method:16} {count:3} repeats: covers {np.mean(shares):6.1%} ({min(shares):.1%} to "
                f"{max(shares):.1%}), half width {np.median([item.half_width for item in own]):.1%}\n"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
