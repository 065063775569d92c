"""Whether TCP is as far ahead of RPC as published."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from analysis.intervals import CONFIDENCE, Floats
from analysis.reproduction.claims.common import LEAST_SPLITS, REPEATS_MISSING, more_runs
from analysis.reproduction.ensemble import Ensemble
from analysis.reproduction.material import CHAINS, Material
from analysis.reproduction.published import LESS_LATENCY, MORE_THROUGHPUT
from analysis.reproduction.verdict import FAILS, HOLDS, OPEN, Claim, Finding, Span, Verdict, span

BACKGROUND = (
    "How the published comparison came about: the published RPC backend is a star over a third machine, so that each "
    "activation crosses the network twice; its reported rate is capped, its latency is computed from that rate, and "
    "its network time is a formula. The gap appears against its default of four concurrent RPC threads on one core: "
    "run on the machine that this project was developed on, the published code's RPC backend was as fast with one "
    "thread as its TCP one. Here both transports carry the same frames between the same two processes."
)


class _Pair(NamedTuple):
    """One split under both transports: the gain of TCP over RPC and its replicates."""

    model: str
    chain: str
    network: str
    split: str
    value: float
    draws: Floats


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Side:
    """One of the two objectives: its claim, the published gain, and how a gain is computed (TCP, RPC)."""

    claim: Claim
    published: float
    word: str
    figures: Callable[[Ensemble], Floats]
    draws: Callable[[Ensemble], Floats | None]
    gain: Callable[[Floats, Floats], Floats]


def _rule(what: str, published: float) -> str:
    return (
        f"{what}, for each split under each link and chain, both transports being run in the same blocks. "
        f"'Up to {100 * published:.0f} %' is a statement on the best case. Holds: some split's 95 % interval lies at "
        f"{100 * published:.0f} % or above, widened to be right for all splits at once; does not hold: every split's "
        "own interval lies below; else cannot be said."
    )


_LATENCY = _Side(
    claim=Claim(
        key="tcp-latency",
        title="TCP has up to 76 % less latency than RPC",
        published=f"The custom TCP backend has up to {100 * LESS_LATENCY:.0f} % less latency than PyTorch RPC.",
        rule=_rule("The gain is 1 - latency over TCP ÷ latency over RPC, one batch in flight", LESS_LATENCY),
    ),
    published=LESS_LATENCY,
    word="less latency",
    figures=lambda ensemble: ensemble.latency_ms,
    draws=lambda ensemble: ensemble.latency_draws,
    gain=lambda tcp, rpc: 1 - tcp / rpc,
)
_THROUGHPUT = _Side(
    claim=Claim(
        key="tcp-throughput",
        title="TCP has up to 53 % more throughput than RPC",
        published=f"The custom TCP backend has up to {100 * MORE_THROUGHPUT:.0f} % more throughput than PyTorch RPC.",
        rule=_rule(
            "The gain is throughput over TCP ÷ throughput over RPC - 1, each at its best window", MORE_THROUGHPUT
        ),
    ),
    published=MORE_THROUGHPUT,
    word="more throughput",
    figures=lambda ensemble: ensemble.throughput_ips,
    draws=lambda ensemble: ensemble.throughput_draws,
    gain=lambda tcp, rpc: tcp / rpc - 1,
)


def judge_latency(material: Material) -> Finding:
    """Judge whether TCP's latency is as much below RPC's as published."""
    return _judge(material, _LATENCY)


def judge_throughput(material: Material) -> Finding:
    """Judge whether TCP's throughput is as much above RPC's as published."""
    return _judge(material, _THROUGHPUT)


def judge_up_to(cases: Sequence[Floats], published: float) -> Verdict:
    """Judge a claim of "up to ``published``" by the replicates of every case.

    One of hundreds of cases lies above its own interval by luck.  For *holds* the lower ends are therefore those of
    intervals that are right for all cases at once (by the distribution of the greatest of all standardised errors).
    """
    draws = np.stack(cases, axis=1)
    middle, error = draws.mean(axis=0), draws.std(axis=0)
    greatest = ((draws - middle) / np.where(error > 0, error, 1.0)).max(axis=1)
    upper = (1 + CONFIDENCE) / 2
    if (middle - np.quantile(greatest, upper) * error >= published).any():
        return HOLDS
    return FAILS if (np.quantile(draws, upper, axis=0) < published).all() else OPEN


def _judge(material: Material, side: _Side) -> Finding:
    pairs, noiseless = _pairs(material, side)
    if not pairs:
        need = f"runs of the same {LEAST_SPLITS} splits over both tcp and rpc"
        return side.claim.wanting(
            REPEATS_MISSING if noiseless else need,
            material.command(chains=material.chains or CHAINS, transports=("tcp", "rpc"), repeats=("3",)),
        )
    best = max(pairs, key=lambda pair: pair.value)
    middle = span(np.median([pair.draws for pair in pairs], axis=0))
    where = f"{best.model} {best.split}, {best.chain}, {best.network}"
    return side.claim.found(
        judge_up_to([pair.draws for pair in pairs], side.published),
        f"TCP has at most {_percent(best.value, span(best.draws))} {side.word} than RPC ({where}); the median over "
        f"{len(pairs)} splits and links is {_percent_span(middle)}.",
        ("model", "network", "splits", f"median: {side.word}", f"best: {side.word}", "best split"),
        _rows(material, pairs),
        "the best of many splits is a lucky one by a little, which its interval here does not know (the verdict does)",
        BACKGROUND,
        remedy=more_runs(material, transports=("tcp", "rpc")),
    )


def _pairs(material: Material, side: _Side) -> tuple[list[_Pair], bool]:
    """Return every split that was run over both transports, and whether some lack repeats."""
    pairs = []
    noiseless = False
    for key, tcp in material.tcp.items():
        rpc = material.rpc.get(key)
        if rpc is None:
            continue
        tcp_draws, rpc_draws = side.draws(tcp), side.draws(rpc)
        if tcp_draws is None or rpc_draws is None:
            noiseless = True
            continue
        places = {split: place for place, split in enumerate(rpc.splits)}
        shared = [
            (place, places[split]) for place, split in enumerate(tcp.splits) if split in places and tcp.is_split[place]
        ]
        if len(shared) < LEAST_SPLITS:
            continue
        for mine, other in shared:
            value = side.gain(side.figures(tcp)[mine], side.figures(rpc)[other])
            draws = side.gain(tcp_draws[:, mine], rpc_draws[:, other])
            pairs.append(_Pair(*key, tcp.splits[mine], float(value), draws))
    return pairs, noiseless


def _rows(material: Material, pairs: Sequence[_Pair]) -> list[tuple[str | float, ...]]:
    """Return one row per model and network: the median over splits and chains, and the best split."""
    rows: list[tuple[str | float, ...]] = []
    for model in material.models:
        for network in material.networks:
            own = [pair for pair in pairs if (pair.model, pair.network) == (model, network.network)]
            if not own:
                continue
            middle = span(np.median([pair.draws for pair in own], axis=0))
            best = max(own, key=lambda pair: pair.value)
            chosen = _percent(best.value, span(best.draws))
            name = f"{best.split} of {best.chain}"
            rows.append((model, network.network, len(own), _percent_span(middle), chosen, name))
    return rows


def _percent(value: float, found: Span) -> str:
    return f"{100 * value:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def _percent_span(found: Span) -> str:
    return _percent(found.value, found)
