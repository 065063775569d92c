"""What of a campaign can be laid beside the paper, prepared once for every claim."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.errors import AnalysisError
from analysis.networks import NetworkQuality, order_networks
from analysis.reproduction.ensemble import Ensemble, redraw
from analysis.reproduction.published import BATCH, MODELS, PI_TO_GPU, PI_TO_PI
from analysis.reproduction.verdict import sweep_command
from analysis.reproduction.work import first_device_times, work_shares
from stage_runtime.formats.profile import ModelProfile

CHAINS = (PI_TO_PI, PI_TO_GPU)
Key = tuple[str, str, str]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """The comparable runs and what the claims share.

    ``tcp`` and ``rpc`` hold an ensemble per (model, chain, network); ``shares`` the work before each cut by
    (model, chain); ``networks`` run from the best link to the worst.  ``left_out`` says what does not count.
    """

    runs: pd.DataFrame
    batch: int
    tcp: Mapping[Key, Ensemble]
    rpc: Mapping[Key, Ensemble]
    networks: tuple[NetworkQuality, ...]
    shares: Mapping[tuple[str, str], Mapping[tuple[int, ...], float]]
    profiles: tuple[ModelProfile, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def models(self) -> tuple[str, ...]:
        """The published models that were run, in the paper's order."""
        present = {model for model, _, _ in self.tcp}
        return tuple(model for model in MODELS if model in present)

    @property
    def chains(self) -> tuple[str, ...]:
        """The published chains that were run."""
        present = {chain for _, chain, _ in self.tcp}
        return tuple(chain for chain in CHAINS if chain in present)

    def command(self, **options: Sequence[str]) -> str:
        """Write the sweep that would bring what is missing; ``options`` beside the models and the batch size."""
        return sweep_command({"model": self.models or MODELS, **options, "batch": (str(self.batch),)})


def prepare(runs: pd.DataFrame, profiles: Sequence[ModelProfile] = ()) -> Material:
    """Take the runs that are comparable with the published ones.

    Paper split points, the published models and chains, plain PyTorch, float32 on the wire, and of several
    batch sizes the one nearest to the published 8.  Raises :class:`AnalysisError` when nothing is left.
    """
    published = runs["model"].isin(MODELS) & runs["chain"].isin(CHAINS) & (runs["granularity"] == "paper")
    plain = published & (runs["engine"] == "eager") & (runs["codec"] == "none")
    good = runs[plain & (runs["status"] == "ok")]
    if good.empty:
        raise AnalysisError(
            f"no run of {', '.join(MODELS)} over {' or '.join(CHAINS)} at the paper's split points ended ok: nothing "
            f"can be laid beside the paper. Run `{sweep_command({'model': MODELS, 'chains': CHAINS})}`"
        )
    batch = min(sorted(set(good["batch"])), key=lambda size: abs(math.log(size / BATCH)))
    chosen = runs[plain & (runs["batch"] == batch)]
    ensembles = {_key(found): found for found in redraw(chosen[chosen["transport"] == "tcp"])}
    return Material(
        runs=chosen,
        batch=int(batch),
        tcp=ensembles,
        rpc={_key(found): found for found in redraw(chosen[chosen["transport"] == "rpc"])},
        networks=tuple(order_networks(chosen)),
        shares=_shares(chosen),
        profiles=tuple(profile for profile in profiles if profile.model in MODELS and profile.granularity == "paper"),
        left_out=_left_out(runs, len(chosen), int(batch)),
    )


def _key(ensemble: Ensemble) -> Key:
    return ensemble.condition.model, ensemble.condition.chain, ensemble.condition.network


def _shares(runs: pd.DataFrame) -> dict[tuple[str, str], dict[tuple[int, ...], float]]:
    plain = runs[runs["transport"] == "tcp"]
    groups = plain.groupby(["model", "chain"], sort=False)
    return {(str(model), str(chain)): work_shares(first_device_times(group)) for (model, chain), group in groups}


def _left_out(runs: pd.DataFrame, kept: int, batch: int) -> tuple[str, ...]:
    notes = []
    if kept < len(runs):
        notes.append(
            f"{len(runs) - kept} of {len(runs)} runs are not comparable (other models, chains, split points, engines, "
            f"codecs, or another batch size than {batch}) and count in nothing on this page"
        )
    bad = int((runs["status"] != "ok").sum())
    if bad:
        notes.append(f"{bad} runs did not end ok and stand on no figure")
    return tuple(notes)
