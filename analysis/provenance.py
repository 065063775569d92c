"""Read what a campaign recorded about how it came about, whatever its shape."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from analysis.campaigns import Campaign


@dataclasses.dataclass(frozen=True, kw_only=True)
class Provenance:
    """One file's content as (key path, value) pairs in reading order."""

    title: str
    entries: tuple[tuple[str, str], ...]


def read_provenance(campaign: Campaign) -> list[Provenance]:
    """Read ``campaign.json`` and ``provenance/*.json``; a file that does not parse says so itself."""
    paths = [campaign.folder / "campaign.json", *sorted(campaign.folder.glob("provenance/*.json"), key=_number)]
    return [_read(campaign, path) for path in paths if path.is_file()]


def _number(path: Path) -> tuple[int, str]:
    return (int(path.stem) if path.stem.isdigit() else -1, path.stem)


def _read(campaign: Campaign, path: Path) -> Provenance:
    try:
        entries = tuple(_flatten("", json.loads(path.read_text(encoding="utf-8"))))
    except (ValueError, OSError) as exc:
        entries = (("unreadable", str(exc)),)
    return Provenance(title=f"{campaign.name}: {path.relative_to(campaign.folder)}", entries=entries)


def _flatten(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flatten(f"{path}.{key}" if path else str(key), inner)
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for index, inner in enumerate(value):
            yield from _flatten(f"{path}[{index}]", inner)
    elif isinstance(value, list):
        yield path, ", ".join(str(item) for item in value)
    else:
        yield path, "" if value is None else str(value)
