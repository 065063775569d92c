"""Rows to tidy tables: one row per run, and one row per run and stage."""

from __future__ import annotations

import msgspec
import pandas as pd

from analysis.journal import Journal
from stage_runtime.formats.row import Row

# null where there is no figure: NaN in the table
_FIGURES = (
    "latency_ms", "response_ms", "throughput_ips", "latency_uncertainty_ms", "latency_p95_ms", "latency_p99_ms",
    "response_p95_ms", "response_p99_ms", "spread_percent", "autocorrelation", "relative_error", "top1_agreement",
    "latency_bound_ms", "throughput_bound_ips", "latency_efficiency", "throughput_efficiency",
)  # fmt: skip


def runs_frame(journal: Journal) -> pd.DataFrame:
    """Return one row per run, with the fields of ``Row`` as columns in their order.

    ``journal``, ``line`` and ``superseded`` come behind.  ``stages``, ``hops`` and ``link`` hold
    lists of dictionaries.
    """
    names = [field.name for field in msgspec.structs.fields(Row)]
    columns: dict[str, list[object]] = {
        name: [msgspec.to_builtins(getattr(entry.row, name)) for entry in journal.entries] for name in names
    }
    columns["journal"] = [str(entry.journal) for entry in journal.entries]
    columns["line"] = [entry.line for entry in journal.entries]
    columns["superseded"] = [entry.superseded for entry in journal.entries]
    frame = pd.DataFrame(columns)
    for name in _FIGURES:
        frame[name] = frame[name].astype("float64")
    frame["cut"] = [tuple(cut) for cut in frame["cut"]]
    frame["devices"] = [tuple(devices) for devices in frame["devices"]]
    frame.attrs["notes"] = list(journal.notes)
    return frame


def stages_frame(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run and stage: what names the run, and the stage's own figures."""
    context = ["campaign", "model", "chain", "network", "transport", "batch", "window", "split", "repeat"]
    records = [
        {**dict(zip(context, values, strict=True)), **stage}
        for *values, stages in runs[[*context, "stages"]].itertuples(index=False, name=None)
        for stage in stages
    ]
    return pd.DataFrame.from_records(records)
