"""Read the raw samples that lie beside a journal: the instants of every batch on every stage."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pandas as pd

from stage_runtime.errors import FormatError
from stage_runtime.formats.samples import COLUMNS, FOLDER, RunSamples, columns_of

_TYPES = {"text": "str", "count": "int32", "flag": "bool", "instant": "Int64"}


def read_samples(campaign_folder: str | Path) -> pd.DataFrame:
    """Return one line per run, stage and batch of the campaign in `campaign_folder`, warm-up included.

    The columns are those of :data:`stage_runtime.formats.samples.COLUMNS`; instants are nanoseconds of the
    stage's own clock, and null (``pd.NA``) where a stage has none.  ``cell_id`` and ``repeat`` lead to the
    journal's row.  What a running or killed sweep has not made a table of yet is read as well.  A campaign
    without samples gives an empty table.  Raises :class:`FormatError` for lines that are no samples.
    """
    folder = Path(campaign_folder) / FOLDER
    tables = [pd.read_parquet(path, dtype_backend="numpy_nullable") for path in sorted(folder.glob("*.parquet"))]
    tables += [pd.DataFrame(columns_of(_read_lines(path))) for path in sorted(folder.glob("*.jsonl"))]
    typed = [_typed(table) for table in tables] or [_typed(pd.DataFrame({name: [] for name in COLUMNS}))]
    return _latest(typed)


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    return table[list(COLUMNS)].astype({name: _TYPES[kind] for name, kind in COLUMNS.items()})


def _latest(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Put tables together; of a run that is in several, killed before its row was written, the last counts."""
    numbered = pd.concat([table.assign(table=number) for number, table in enumerate(tables)], ignore_index=True)
    last = numbered.groupby(["cell_id", "repeat"])["table"].transform("max")
    return numbered[numbered["table"] == last].drop(columns="table").reset_index(drop=True)


def _read_lines(path: Path) -> list[RunSamples]:
    # only the last line can be torn: the driver waits for each to be on the disk
    lines = path.read_bytes().split(b"\n")[:-1]
    try:
        return [msgspec.json.decode(line, type=RunSamples) for line in lines]
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise FormatError(f"{path}: holds a line that is no run's samples ({exc})") from exc
