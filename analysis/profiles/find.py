"""Find and read profiles: folders ``<model>-<manifest>`` that hold one ``<device>.json`` per device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from analysis.errors import AnalysisError
from stage_runtime.formats.profile import PROFILE_SCHEMA, ModelProfile

FIRST_PROFILE = "run `ansible-playbook profile.yml -e model=mobilenet_v2` first, or name a profile's folder"


def list_folders(results: Path) -> list[Path]:
    """Return the folders under ``results/profiles`` that hold a profile, the one written last first."""
    newest = {
        folder: max(path.stat().st_mtime_ns for path in files)
        for folder in (results / "profiles").glob("*")
        if (files := list(folder.glob("*.json")))
    }
    return sorted(newest, key=lambda folder: (newest[folder], folder.name), reverse=True)


def find_folders(names: Sequence[str | Path], results: Path) -> list[Path]:
    """Resolve what a user typed: a folder, or a name under ``results/profiles``; no names mean the newest.

    Raises :class:`AnalysisError` with the profiles that there are.
    """
    if not names:
        newest = list_folders(results)[:1]
        if not newest:
            raise AnalysisError(f"no profile under {(results / 'profiles').resolve()}: {FIRST_PROFILE}")
        return newest
    return list(dict.fromkeys(_find_folder(Path(name), results) for name in names))


def _find_folder(name: Path, results: Path) -> Path:
    for folder in (name, results / "profiles" / name):
        if any(folder.glob("*.json")):
            return folder.resolve()
    known = ", ".join(folder.name for folder in list_folders(results)[:10])
    hint = f"profiles under {(results / 'profiles').resolve()}: {known}" if known else FIRST_PROFILE
    raise AnalysisError(f"no profile in {name} nor in {results / 'profiles' / name}; {hint}")


def read_profiles(folder: Path) -> list[ModelProfile]:
    """Read a folder's profiles, by device name; raises AnalysisError where they are not of one model."""
    profiles = [_read(path) for path in sorted(folder.glob("*.json"))]
    models = {profile.manifest_id for profile in profiles}
    if len(models) > 1:
        raise AnalysisError(f"{folder} holds profiles of several models ({', '.join(sorted(models))}); part them")
    return profiles


def _read(path: Path) -> ModelProfile:
    try:
        profile = msgspec.json.decode(path.read_bytes(), type=ModelProfile)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise AnalysisError(f"{path} is no block profile: {exc}; profile the device again") from exc
    if profile.schema != PROFILE_SCHEMA:
        raise AnalysisError(f"{path} has schema {profile.schema}, this analysis reads {PROFILE_SCHEMA}")
    return profile
