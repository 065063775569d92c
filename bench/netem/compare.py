"""Hold one side's figures against the other's.  Pure.

Rates agree within 5 %, delays within 2 ms, a message, which has both, within either: by the medians of the
probe's rounds, and of datagrams sent one by one.
Jitter and loss are random, so they are judged by a test that two equal links fail once in 10,000 times: jitter by the
two-sample Kolmogorov-Smirnov statistic of the delays, each less its side's median (where the medians lie is judged as
delay), loss by Fisher's exact test of the counts.  Delays are also held against the uniform law that was asked for.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

import scipy.stats

from bench.netem.results import FRAME_BYTES, Measured
from links.conditions import LinkSpec
from links.probe.verdict import expected_message_ms, uses_train

MOST_RATE_SHARE = 0.05
MOST_DELAY_MS = 2.0
LEAST_P = 1e-4


class Compared(NamedTuple):
    """One figure on both sides: what was asked for, how far they are apart, in words, and whether they agree."""

    what: str
    asked: str
    netem: str
    emulator: str
    apart: str
    agree: bool


def compare(spec: LinkSpec, netem: Measured, emulator: Measured) -> list[Compared]:
    """Compare one direction's figures: rate, delay, jitter and loss, as far as they are asked for."""
    found = [_delay(spec, netem, emulator)]
    if spec.rate_mbit is not None:
        found.insert(0, _rate(spec.rate_mbit, netem, emulator))
        found.append(_message(spec, netem, emulator))
    if spec.jitter_ms:
        found.append(_jitter(spec, netem, emulator))
    found.append(_loss(spec, netem, emulator))
    return found


def expected_delay_ms(spec: LinkSpec) -> float:
    """Give what a single small datagram should take one way on average."""
    return spec.delay_ms + spec.wire_ms(FRAME_BYTES)


def uniform_distance(spec: LinkSpec, measured: Measured) -> float:
    """Give the Kolmogorov-Smirnov distance of the delays, about their median, from the uniform law asked for."""
    law = scipy.stats.uniform(loc=-spec.jitter_ms, scale=2 * spec.jitter_ms)
    return float(scipy.stats.kstest(_about_median(measured.delays_ms), law.cdf).statistic)


def _rate(asked_mbit: float, netem: Measured, emulator: Measured) -> Compared:
    one, other = statistics.median(netem.rates_mbit), statistics.median(emulator.rates_mbit)
    share = (other - one) / one
    return Compared(
        "rate",
        f"{asked_mbit:g} Mbit/s",
        f"{one:.4g}",
        f"{other:.4g}",
        f"{share:+.1%}",
        abs(share) <= MOST_RATE_SHARE,
    )


def _delay(spec: LinkSpec, netem: Measured, emulator: Measured) -> Compared:
    one, other = statistics.median(netem.delays_ms), statistics.median(emulator.delays_ms)
    return Compared(
        "delay, one way",
        f"{expected_delay_ms(spec):.2f} ms",
        f"{one:.2f}",
        f"{other:.2f}",
        f"{other - one:+.2f} ms",
        abs(other - one) <= MOST_DELAY_MS,
    )


def _message(spec: LinkSpec, netem: Measured, emulator: Measured) -> Compared:
    """Compare what 64 KiB take, which rate and delay set together.

    Under jitter a message is counted from a packet whose own delay may lie anywhere within the jitter's width, and
    so may the median of a few: it tells no more than that.
    """
    one, other = statistics.median(netem.messages_ms), statistics.median(emulator.messages_ms)
    return Compared(
        "64 KiB message",
        f"{expected_message_ms(spec, 'train' if uses_train(spec) else 'tcp'):.1f} ms",
        f"{one:.1f}",
        f"{other:.1f}",
        f"{other - one:+.2f} ms",
        abs(other - one) <= max(MOST_DELAY_MS, MOST_RATE_SHARE * one) + 2 * spec.jitter_ms,
    )


def _jitter(spec: LinkSpec, netem: Measured, emulator: Measured) -> Compared:
    test = scipy.stats.ks_2samp(_about_median(netem.delays_ms), _about_median(emulator.delays_ms))
    distances = [f"{uniform_distance(spec, side):.3f}" for side in (netem, emulator)]
    return Compared(
        "jitter",
        f"±{spec.jitter_ms:g} ms",
        f"{_spread(netem)}, {distances[0]} from uniform",
        f"{_spread(emulator)}, {distances[1]} from uniform",
        f"D {test.statistic:.3f}, p {test.pvalue:.2g}",
        bool(test.pvalue >= LEAST_P),
    )


def _loss(spec: LinkSpec, netem: Measured, emulator: Measured) -> Compared:
    """Compare losses; where none is asked for, neither link may drop anything at all."""
    if netem.sent is None or netem.lost is None or emulator.sent is None or emulator.lost is None:
        counts = (netem.dropped, emulator.dropped)
        return Compared("loss", "none", str(counts[0]), str(counts[1]), "", counts == (0, 0))
    sides = ((netem.lost, netem.sent), (emulator.lost, emulator.sent))
    test = scipy.stats.fisher_exact([[lost, sent - lost] for lost, sent in sides])
    by_chance = [scipy.stats.binomtest(lost, sent, spec.loss_percent / 100).pvalue >= LEAST_P for lost, sent in sides]
    one, other = (f"{lost} of {sent} ({lost / sent:.3%})" for lost, sent in sides)
    return Compared(
        "loss",
        f"{spec.loss_percent:g} %",
        one,
        other,
        f"p {test.pvalue:.2g}",
        bool(test.pvalue >= LEAST_P and all(by_chance)),
    )


def _about_median(values: Sequence[float]) -> list[float]:
    middle = statistics.median(values)
    return [value - middle for value in values]


def _spread(measured: Measured) -> str:
    low, high = min(measured.delays_ms), max(measured.delays_ms)
    return f"sd {statistics.stdev(measured.delays_ms):.2f}, {low:.1f} to {high:.1f}"
