"""Find campaigns: folders that hold a ``journal.jsonl``, or a packed one (``journal.jsonl.gz``)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from analysis.errors import AnalysisError

JOURNAL = "journal.jsonl"
PACKED_JOURNAL = f"{JOURNAL}.gz"
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
    journals = [journal for folder in results.glob("*/") if (journal := _journal_in(folder)) is not None]
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
        journal = _journal_in(path)
        if journal is not None:
            return Campaign(folder=path, journal=journal)
    known = ", ".join(campaign.name for campaign in list_campaigns(results)[:10])
    hint = f"campaigns under {results.resolve()}: {known}" if known else FIRST_SWEEP
    raise AnalysisError(f"no {JOURNAL} in {name} nor in {results / name}; {hint}")


def _journal_in(folder: Path) -> Path | None:
    """Return the folder's journal; where a packed one lies beside, the plain one is still being written to."""
    return next((path for name in (JOURNAL, PACKED_JOURNAL) if (path := folder / name).is_file()), None)
