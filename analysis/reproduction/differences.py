"""What differs between the published testbed and the campaign's, as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from analysis.campaigns import Campaign
from analysis.conclusion import TIMES
from analysis.networks import describe_link
from analysis.numbers import number
from analysis.reproduction.counterpart import Comparison
from analysis.reproduction.material import Material
from analysis.reproduction.published import BATCH


class Difference(NamedTuple):
    """One thing that was otherwise there."""

    what: str
    published: str
    here: str


def find_differences(
    material: Material, comparisons: Sequence[Comparison], campaigns: Sequence[Campaign]
) -> list[Difference]:
    """Say what the campaign's own records tell of its devices, its links and its runs."""
    runs = material.runs
    good = runs[runs["status"] == "ok"]
    repeats = good.groupby("cell_id")["repeat"].nunique()
    batches = sorted(set(good["batches"]))
    windows = ", ".join(str(window) for window in sorted(set(good["window"])))
    found = [
        Difference(
            "devices", "Raspberry Pis and a server with a GPU", "; ".join(_devices(campaigns)) or "not recorded"
        ),
        Difference("compute threads", "four cores a Pi (the CPU column reaches 360 %)", _threads(material)),
        Difference("images per batch", str(BATCH), str(material.batch)),
        Difference(
            "batches and repeats",
            "8 batches, 5 runs, the cold first batch in every mean",
            f"{batches[0]} to {batches[-1]} batches, {int(repeats.min())} to {int(repeats.max())} runs, medians after "
            f"warm-up; batches in flight: {windows}",
        ),
        Difference(
            "inputs", "CIFAR-10 pictures resized, 10 classes", f"photographs as tensors, weights {_weights(runs)}"
        ),
        Difference("links", "Ethernet, shaped with tc on the whole interface", "; ".join(_links(material))),
    ]
    speed = speed_ratio(material, comparisons)
    if speed is not None:
        text = f"a batch of {BATCH} takes {number(speed)}{TIMES} the published execution time (median over rows)"
        found.append(Difference("speed", "1", text))
    return found


def speed_ratio(material: Material, comparisons: Sequence[Comparison]) -> float | None:
    """Return our computing time for a published batch over the printed one: the median over rows."""
    ratios = [
        sum(found.value for found in item.fitting.compute_ms) * BATCH / material.batch / 1000
        / sum(item.published.execution_s)
        for item in comparisons
        if item.fitting is not None
    ]  # fmt: skip
    return float(np.median(ratios)) if ratios else None


def _devices(campaigns: Sequence[Campaign]) -> list[str]:
    found: dict[str, str] = {}
    for campaign in campaigns:
        kinds = _read(campaign.folder / "campaign.json").get("devices", {})
        hardware: dict[str, Any] = {}
        for path in sorted(campaign.folder.glob("provenance/*.json")):
            hardware |= _read(path).get("devices", {})
        for name, kind in kinds.items():
            quota = f", {kind['cpus']:g} of a core" if kind.get("cpus") else ""
            machine = hardware.get(name, {}).get("model") or hardware.get(name, {}).get("machine")
            found[name] = f"{name}: {kind.get('kind', 'unknown')}{quota}" + (f" on {machine}" if machine else "")
    return list(found.values())


def _read(path: Any) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _threads(material: Material) -> str:
    found: dict[str, set[int]] = {}
    for stages in material.runs["stages"]:
        for stage in stages:
            found.setdefault(stage["device"], set()).add(stage["threads"])
    return ", ".join(f"{device} {' or '.join(map(str, sorted(threads)))}" for device, threads in found.items())


def _weights(runs: Any) -> str:
    return ", ".join(sorted(set(runs["weights"])))


def _links(material: Material) -> list[str]:
    found: dict[str, str] = {}
    for network, link in material.runs[["network", "link"]].itertuples(index=False, name=None):
        if link and network not in found:
            found[network] = f"{network}: {describe_link(link[0]['asked'])} ({link[0]['backend']})"
    return [found[quality.network] for quality in material.networks if quality.network in found]
