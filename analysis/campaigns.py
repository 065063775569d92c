"""Find campaigns: folders that hold a ``journal.jsonl``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from analysis.errors import AnalysisError

JOURNAL = "journal.jsonl"
FIRST_SWEEP = "run `ansible-playbook sweep.yml -e model=mobilenet_v2` first, or name a campaign's folder"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Campaign:
    """One campaign's folder and its journal."""

    folder: Path
    journal: Path

    @property
    def name(self) -> str:
        """The campaign's name: that of its folder."""
        return self.folder.resolve().name


def list_campaigns(results: Path) -> list[Campaign]:
    """Return the campaigns under ``results``, the one written last first."""
    journals = [path for path in results.glob(f"*/{JOURNAL}") if path.is_file()]
    journals.sort(key=lambda path: (path.stat().st_mtime_ns, path.parent.name), reverse=True)
    return [Campaign(folder=path.parent, journal=path) for path in journals]


def find_campaigns(names: Sequence[str | Path], results: Path) -> list[Campaign]:
    """Resolve what a user typed: a folder, a journal file, or a name under ``results``.

    No names means the newest campaign under ``results``.  A campaign named twice counts once.
    Raises :class:`AnalysisError` with the campaigns that there are.
    """
    if not names:
        newest = list_campaigns(results)[:1]
        if not newest:
            raise AnalysisError(f"no campaign under {results.resolve()}: {FIRST_SWEEP}")
        return newest
    found: dict[Path, Campaign] = {}
    for name in names:
        campaign = _find_campaign(Path(name), results)
        found.setdefault(campaign.journal.resolve(), campaign)
    return list(found.values())


def _find_campaign(name: Path, results: Path) -> Campaign:
    for path in (name, results / name):
        if path.is_file():
            return Campaign(folder=path.parent, journal=path)
        if (path / JOURNAL).is_file():
            return Campaign(folder=path, journal=path / JOURNAL)
    known = ", ".join(campaign.name for campaign in list_campaigns(results)[:10])
    hint = f"campaigns under {results.resolve()}: {known}" if known else FIRST_SWEEP
    raise AnalysisError(f"no {JOURNAL} in {name} nor in {results / name}; {hint}")
