"""The file in which a stage notes that it began, and why it ended, for whoever asks when it does not answer."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from stage_runtime.formats.ready import make_ready
from stage_runtime.telemetry.memory_kills import memory_kills

_log = logging.getLogger(__name__)

FILE = "stage.life"


class Life(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stage process: ``ended`` is None while it lives, and for ever if it was killed.

    ``memory_kills`` is what the kernel had counted of them when the stage began.
    """

    pid: int
    memory_kills: int
    ended: str | None = None


def note_begin(folder: Path) -> None:
    """Note in `folder` that this process begins to serve."""
    _write(folder / FILE, Life(pid=os.getpid(), memory_kills=memory_kills()))


def note_end(folder: Path, reason: str) -> None:
    """Note why this process ends, unless another stage has begun there."""
    life = read_life(folder)
    if life is not None and life.pid == os.getpid():
        _write(folder / FILE, msgspec.structs.replace(life, ended=reason))


def read_life(folder: Path) -> Life | None:
    """Read what the last stage noted in `folder`; None where nothing can be read."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Life)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _write(path: Path, life: Life) -> None:
    """Write it whole or not at all; a stage that cannot is as good as any other."""
    partial = path.with_suffix(".part")
    try:
        partial.write_bytes(msgspec.json.encode(life))
        partial.replace(path)
    except OSError as exc:
        _log.warning("cannot write %s: %s", path, exc.strerror)


make_ready(Life)
