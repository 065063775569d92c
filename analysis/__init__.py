"""From journals to fronts: load, summarise, find the front, draw, report.

In a notebook::

    import analysis
    from analysis import fronts, summary

    runs = analysis.load("results/20260101-120000")         # one row per run
    points = summary.summarise(runs)                        # one Point per split and condition
    for front in fronts.find_fronts(points):
        print(front.condition.label(), [p.split for p in front.front_points])

On the command line: ``python -m analysis.front --help``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def load(campaigns: str | Path | Sequence[str | Path] = (), results: str | Path = "results") -> pd.DataFrame:
    """Return the runs of one or many campaigns as a table, one row per run, failed ones included.

    ``campaigns`` are folders, journal files, or names under ``results``; none means the newest.
    The columns are the fields of :class:`stage_runtime.formats.row.Row` (units in their names;
    ``stages``, ``hops`` and ``link`` hold lists of dictionaries) and ``journal`` and ``line``,
    where the row stands.  What was noticed on reading (torn or duplicate lines) is in
    ``frame.attrs["notes"]``.  Raises :class:`analysis.errors.AnalysisError`.
    """
    # pandas takes most of a second to import, and `--help` and tab completion need none of it
    from analysis.campaigns import find_campaigns  # noqa: PLC0415 - see above
    from analysis.frame import plain_frame, runs_frame  # noqa: PLC0415 - see above
    from analysis.reading import read_journals  # noqa: PLC0415 - see above

    names = [campaigns] if isinstance(campaigns, str | Path) else list(campaigns)
    return plain_frame(runs_frame(read_journals(find_campaigns(names, Path(results)))))
