"""Everything the page shows, before anything is drawn or written."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from analysis.campaigns import Campaign
from analysis.cautions import find_cautions
from analysis.errors import AnalysisError
from analysis.frame import runs_frame
from analysis.fronts import find_fronts
from analysis.journal import Journal
from analysis.profiles.find import read_profiles
from analysis.reproduction.claims import judge_claims
from analysis.reproduction.counterpart import Comparison, compare_rows
from analysis.reproduction.differences import Difference, find_differences
from analysis.reproduction.material import Material, prepare
from analysis.reproduction.numbering import Numbering, PrintedNetworkTimes, find_numberings, printed_network_times
from analysis.reproduction.references import Tally, tally_references
from analysis.reproduction.verdict import Finding
from analysis.studies import Study, find_studies
from analysis.summary import summarise
from stage_runtime.formats.profile import ModelProfile


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Reproduction:
    """The published results held against a campaign; ``studies`` are the TCP fronts to draw."""

    campaigns: tuple[Campaign, ...]
    material: Material
    findings: tuple[Finding, ...]
    comparisons: tuple[Comparison, ...]
    numberings: tuple[Numbering, ...]
    network_times: PrintedNetworkTimes
    references: tuple[Tally, ...]
    differences: tuple[Difference, ...]
    studies: tuple[Study, ...]
    cautions: tuple[str, ...]


def reproduce(campaigns: Sequence[Campaign], journal: Journal, profiles: Sequence[ModelProfile] = ()) -> Reproduction:
    """Hold the published results against the campaigns, whose runs are ``journal``."""
    material = prepare(runs_frame(journal), profiles)
    plain = material.runs[material.runs["transport"] == "tcp"]
    fronts = find_fronts(summarise(plain))
    comparisons = compare_rows(material)
    return Reproduction(
        campaigns=tuple(campaigns),
        material=material,
        findings=tuple(judge_claims(material)),
        comparisons=tuple(comparisons),
        numberings=tuple(find_numberings(comparisons)),
        network_times=printed_network_times(),
        references=tuple(tally_references(fronts, [quality.network for quality in material.networks])),
        differences=tuple(find_differences(material, comparisons, campaigns)),
        studies=tuple(find_studies(fronts, plain)),
        cautions=(*material.left_out, *find_cautions(material.runs, fronts)),
    )


def find_profiles(places: Sequence[Path], campaigns: Sequence[Campaign]) -> list[ModelProfile]:
    """Read block profiles: of the folders named, or of those beneath them; else of the campaigns' own ``profiles/``.

    Raises :class:`AnalysisError` for a place that holds none.
    """
    own = [campaign.folder / "profiles" for campaign in campaigns]
    found = []
    for place in places or [folder for folder in own if folder.is_dir()]:
        beneath = {path.parent for path in place.glob("*/*.json")}
        folders = [place] if any(place.glob("*.json")) else sorted(beneath)
        if not folders:
            raise AnalysisError(f"no profile in {place}; make some with `ansible-playbook profile.yml -e model=…`")
        found += [profile for folder in folders for profile in read_profiles(folder)]
    return found
