"""The tables of single runs and stages, which hold what the journal holds, and take as long to write as all others."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd

from analysis.arrow import TableFiles, kinds_of_frame, kinds_of_records
from analysis.frame import CONTEXT, stages_frame
from analysis.journal import FLOATS, RECORDS
from analysis.records import Records
from stage_runtime.formats.row import StageFigures

_NESTED = (*RECORDS, "link", *FLOATS)
_ROWS_AT_ONCE = 10_000
# what takes less than a process to begin is written by this one
_LEAST_ROWS = 10_000


def write_run_tables(runs: pd.DataFrame, folder: Path) -> None:
    """Write ``runs`` and ``stages`` as CSV and Parquet.

    The CSV of the runs lacks the nested columns, which have tables of their own or are in Parquet.
    """
    of_runs = kinds_of_frame(runs)
    of_stages = {name: of_runs[name] for name in CONTEXT}
    of_stages |= kinds_of_records(Records(runs["stages"], StageFigures).columns)
    with (
        TableFiles(folder, "runs", of_runs, _NESTED) as runs_files,
        TableFiles(folder, "stages", of_stages) as stages_files,
    ):
        for begin in range(0, len(runs), _ROWS_AT_ONCE):
            piece = runs.iloc[begin : begin + _ROWS_AT_ONCE]
            runs_files.write(piece)
            stages_files.write(stages_frame(piece))


@contextlib.contextmanager
def begin_run_tables(runs: pd.DataFrame, folder: Path) -> Iterator[Callable[[], None]]:
    """Have :func:`write_run_tables` done, by another process where that is worth it and there is a core for it.

    The process is forked, and so finds the runs in memory; the threads of this one that there may be by then all wait.
    What is given waits until all is written, and raises OSError where that failed.
    """
    if len(runs) < _LEAST_ROWS or len(os.sched_getaffinity(0)) == 1:
        write_run_tables(runs, folder)
        yield lambda: None
        return
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, mp_context=fork, initializer=_remember, initargs=(runs, folder)) as pool:
        yield pool.submit(_write_remembered).result


_remembered: list[tuple[pd.DataFrame, Path]] = []


def _remember(runs: pd.DataFrame, folder: Path) -> None:
    _remembered.append((runs, folder))


def _write_remembered() -> None:
    write_run_tables(*_remembered[-1])
