"""The raw samples of runs: the instants of every batch on every stage, kept beside the journal.

While a condition runs they are lines of JSON, one :class:`RunSamples` each
(``samples/<chain>@<network>.jsonl``); when it ends they become a table of :data:`COLUMNS`
(``samples/<chain>@<network>-<number>.parquet``) with one line per run, stage and batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest
from typing import Literal

import msgspec

from stage_runtime.formats.ready import make_ready
from stage_runtime.formats.row import StageSamples

FOLDER = "samples"

INSTANTS = (
    "first_byte_ns",
    "received_ns",
    "decoded_ns",
    "started_ns",
    "computed_ns",
    "encode_started_ns",
    "send_started_ns",
    "sent_ns",
    "offset_ns",
    "back_ns",
)
COLUMNS: dict[str, Literal["text", "count", "flag", "instant"]] = {
    "campaign": "text",
    "cell_id": "text",
    "repeat": "count",
    "stage": "count",
    "device": "text",
    "batch": "count",
    "warmup": "flag",
    **dict.fromkeys(INSTANTS, "instant"),
}
"""The table's columns in order, and what each holds; only an instant may be missing (null)."""


class RunSamples(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run's samples.  ``warmup`` is what the cell asked for, before the warm-up rule discards more."""

    campaign: str
    cell_id: str
    repeat: int
    warmup: int
    stages: tuple[StageSamples, ...]


def columns_of(runs: Iterable[RunSamples]) -> dict[str, list[object]]:
    """Write runs out as the columns of the table.

    Of two with the same cell and repeat the later counts: the first was measured by a driver that was
    killed, or whose disk was full, before its row was in the journal.
    """
    latest = {(run.cell_id, run.repeat): run for run in runs}
    columns: dict[str, list[object]] = {name: [] for name in COLUMNS}
    for run in latest.values():
        for stage in run.stages:
            batches = zip_longest(*(getattr(stage, name) for name in INSTANTS))
            for index, instants in enumerate(batches):
                warmup = index < run.warmup + stage.discarded
                values = (run.campaign, run.cell_id, run.repeat, stage.stage, stage.device, index, warmup, *instants)
                for column, value in zip(columns.values(), values, strict=True):
                    column.append(value)
    return columns


make_ready(RunSamples)
