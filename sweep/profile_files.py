"""Where profiles lie: ``profiles/<model>-<manifest>/<device>.json``, and what was there before."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from stage_runtime.formats.manifest import Manifest
from stage_runtime.formats.profile import ModelProfile
from sweep.campaign import Campaign
from sweep.errors import CampaignError

_ID_DIGITS = 8


def profile_folder(manifest: Manifest) -> str:
    """Name the folder of one model's profiles: another split, other weights or classes have another."""
    return f"{manifest.model}-{manifest.manifest_id[:_ID_DIGITS]}"


def write_profile(campaign: Campaign, manifest: Manifest, profile: ModelProfile) -> Path | None:
    """Write a device's profile, whole or not at all; give where the one before it is now, if there was one.

    Raises CampaignError where the disk refuses.
    """
    name = f"{profile_folder(manifest)}/{profile.device}.json"
    earlier = _keep(campaign.folder / name)
    campaign.write_json(name, profile)
    return earlier


def _keep(path: Path) -> Path | None:
    """Copy a profile to ``earlier/``, under the time it was written at, so that it is at no moment absent."""
    if not path.exists():
        return None
    written = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(path.stat().st_mtime))
    target = path.parent / "earlier" / f"{path.stem}-{written}.json"
    try:
        target.parent.mkdir(exist_ok=True)
        shutil.copy2(path, target)
    except OSError as exc:
        raise CampaignError(f"{target}: cannot write ({exc}); free some space and run again") from exc
    return target
